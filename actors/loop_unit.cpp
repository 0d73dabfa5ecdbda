#include "actors/loop_unit.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <caf/scheduler/abstract_coordinator.hpp>

namespace fairlead::actors {

namespace {
// Messages an actor may handle in one run: enough to gather many sends into one write, few enough to stay fair.
constexpr std::size_t messages_per_run = 256;
// How long a drain begins further runs, before sockets, timers and what other threads post get their turn. As long as the
// directors took if that is more: what they hand out must not come faster than it is handled.
constexpr std::chrono::milliseconds longest_drain{2};
}  // namespace

loop_unit::loop_unit(caf::actor_system& system, std::shared_ptr<protocol::event_loop> loop)
    : caf::execution_unit(&system), loop_(std::move(loop)) {}

void loop_unit::put_first(const caf::strong_actor_ptr& actor) {
  directors_.push_back(
      dynamic_cast<const caf::resumable*>(caf::actor_cast<caf::abstract_actor*>(actor)));
}

void loop_unit::exec_later(caf::resumable* actor) {
  // An actor of the embedder's that one of ours sent to runs where CAF would run it, not on our loop.
  if (actor->subtype() != caf::resumable::io_actor) return system().scheduler().enqueue(actor);
  if (!loop_->inside()) {
    ++posted_;
    if (loop_->post([this, actor] { run_posted(actor); })) return;
    // A loop that has stopped for good runs nothing; its actors have ended, or end with their last handle.
    --posted_;
    return caf::intrusive_ptr_release(actor);
  }
  auto& queue = queue_of(actor);
  queue.push_back(actor);
  if (draining_ || post_drain()) return;
  queue.pop_back();
  caf::intrusive_ptr_release(actor);
}

bool loop_unit::post_drain() {
  draining_ = loop_->post([this] { drain(); });
  return draining_;
}

void loop_unit::drain() {
  const auto keep = shared_from_this();  // the last actor to run may be the last to hold this
  // Runs what is ready and what that makes ready, so that a message passes several actors in one turn of the loop.
  do {
    draining_ = true;
    run_some();
    draining_ = !idle();
  } while (draining_ && !post_drain());  // refused: there will be no other turn
}

void loop_unit::run_some() {
  protocol::time_point::duration longest = longest_drain;
  if (!first_.empty()) {
    const auto began = loop_->read_clock();
    for (auto n = first_.size(); n > 0; --n) run_next(first_);
    longest = std::max(longest, loop_->read_clock() - began);
  }
  auto end = protocol::time_point::max();
  while (!idle()) {
    run_next(ready_.empty() ? first_ : ready_);
    if (idle()) return;  // most drains are of one run, and need no clock
    const auto now = loop_->read_clock();
    if (now >= end) return;
    if (end == protocol::time_point::max()) end = now + longest;
  }
}

/// Alone it runs at once. Others that are on their way are waited for, so that all of them are one drain.
void loop_unit::run_posted(caf::resumable* actor) {
  queue_of(actor).push_back(actor);
  const bool alone = --posted_ == 0;
  if (draining_ || (!alone && post_drain())) return;
  drain();
}

void loop_unit::run_next(queue& from) {
  auto* const actor = from.front();
  from.pop_front();
  if (actor->resume(this, messages_per_run) == caf::resumable::resume_later)
    exec_later(actor);
  else
    caf::intrusive_ptr_release(actor);
}

}  // namespace fairlead::actors
