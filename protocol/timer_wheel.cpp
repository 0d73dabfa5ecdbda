#include "protocol/timer_wheel.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace fairlead::protocol {
namespace {

constexpr time_point::duration tick_length = timer_wheel::tick;
constexpr time_point::duration round_up = tick_length - time_point::duration{1};
constexpr unsigned word_bits = 64;

}  // namespace

void timer_base::cancel() noexcept {
  if (wheel_) wheel_->remove(*this);
}

timer::~timer() {
  if (running_) *running_ = nullptr;
}

/// The task may destroy its timer, and so itself: it runs from here, and goes back only if there is a timer.
void timer::on_due() {
  timer* alive = this;
  auto task = std::move(task_);
  running_ = &alive;
  struct put_back {
    timer*& alive;
    std::function<void()>& task;
    ~put_back() {
      if (!alive) return;
      alive->task_ = std::move(task);
      alive->running_ = nullptr;
    }
  } const after{alive, task};
  task();
}

timer_wheel::timer_wheel(time_point start) : start_(start) {}

timer_wheel::~timer_wheel() {
  while (running_) remove(*running_);
  for (auto& slot : slots_) {
    while (slot) remove(*slot);
  }
}

// --- lists --------------------------------------------------------------------------------------------------------

void timer_wheel::append(list& first, timer_base& added) noexcept {
  added.next_ = nullptr;
  if (!first) {
    first = added.previous_ = &added;
    return;
  }
  added.previous_ = first->previous_;
  first->previous_->next_ = &added;
  first->previous_ = &added;
}

void timer_wheel::unlink(list& first, timer_base& removed) noexcept {
  if (&removed == first)
    first = removed.next_;
  else
    removed.previous_->next_ = removed.next_;
  if (removed.next_)
    removed.next_->previous_ = removed.previous_;
  else if (first)
    first->previous_ = removed.previous_;
}

void timer_wheel::mark(std::uint64_t tick) noexcept {
  const std::size_t slot = tick % slot_count;
  const std::uint64_t bit = std::uint64_t{1} << (slot % word_bits);
  if (slots_[slot])
    used_[slot / word_bits] |= bit;
  else
    used_[slot / word_bits] &= ~bit;
}

time_point timer_wheel::time_of(std::uint64_t tick_number) const noexcept {
  return start_ + static_cast<time_point::rep>(tick_number) * tick_length;
}

// --- scheduling ---------------------------------------------------------------------------------------------------

void timer_wheel::schedule(timer_base& t, time_point when) {
  t.cancel();
  if (when > time_point::max() - tick_length) return;
  // Compared before it is subtracted: `when` may be any moment at all.
  const std::uint64_t soonest = current_ + 1;
  t.due_ = when <= time_of(soonest)
               ? soonest
               : static_cast<std::uint64_t>((when - start_ + round_up) / tick_length);
  t.wheel_ = this;
  append(slot_of(t.due_), t);
  mark(t.due_);
  next_ = size_++ == 0 ? t.due_ : std::min(next_, t.due_);
}

void timer_wheel::remove(timer_base& t) noexcept {
  // What `advance` has collected is due at or before the current tick, what lies in a slot is due after it.
  if (t.due_ <= current_) {
    unlink(running_, t);
  } else {
    unlink(slot_of(t.due_), t);
    mark(t.due_);
  }
  t.wheel_ = nullptr;
  --size_;
}

// --- running ------------------------------------------------------------------------------------------------------

std::uint64_t timer_wheel::skip_empty(std::uint64_t from, std::uint64_t to) const noexcept {
  while (from < to) {
    const std::size_t slot = from % slot_count;
    const std::uint64_t ahead = used_[slot / word_bits] >> (slot % word_bits);
    if (ahead != 0) return std::min(to, from + static_cast<unsigned>(std::countr_zero(ahead)));
    from += word_bits - slot % word_bits;
  }
  return to;
}

void timer_wheel::collect(std::uint64_t tick) noexcept {
  list& slot = slot_of(tick);
  for (timer_base* t = slot; t;) {
    timer_base& seen = *std::exchange(t, t->next_);
    if (seen.due_ > current_) continue;  // a later turn's
    unlink(slot, seen);
    append(running_, seen);
  }
  mark(tick);
}

void timer_wheel::run_collected() {
  while (running_) {
    timer_base& due = *running_;
    remove(due);
    due.on_due();
  }
}

void timer_wheel::advance(time_point now) {
  const std::uint64_t first = std::max(next_, current_ + 1);
  if (now >= time_of(current_ + 1))
    current_ = static_cast<std::uint64_t>((now - start_) / tick_length);
  if (current_ < next_ && !running_) return;

  // One turn visits every slot; what is longer would visit some twice.
  const std::uint64_t end = std::min(current_ + 1, first + slot_count);
  for (auto tick = skip_empty(first, end); tick < end; tick = skip_empty(tick + 1, end))
    collect(tick);
  next_ = current_ + 1;  // in case a task throws
  run_collected();
  next_ = earliest();
}

std::uint64_t timer_wheel::earliest() const noexcept {
  const std::uint64_t end = current_ + slot_count;
  for (auto tick = skip_empty(current_ + 1, end); tick < end; tick = skip_empty(tick + 1, end)) {
    for (const timer_base* t = slots_[tick % slot_count]; t; t = t->next_) {
      if (t->due_ == tick) return tick;
    }
  }
  return end;  // everything lies further ahead: look again then
}

time_point timer_wheel::next() const noexcept {
  return size_ == 0 ? time_point::max() : time_of(next_);
}

}  // namespace fairlead::protocol
