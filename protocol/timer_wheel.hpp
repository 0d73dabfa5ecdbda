#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "protocol/time.hpp"

namespace fairlead::protocol {

class timer_wheel;

/// What a wheel calls later: for what has one timer as long as it lives, and is there many times. Its owner keeps it;
/// destroying or cancelling it takes it off the wheel. Not movable. One thread.
class timer_base {
 public:
  timer_base(const timer_base&) = delete;
  timer_base& operator=(const timer_base&) = delete;

  void cancel() noexcept;
  [[nodiscard]] bool scheduled() const noexcept { return wheel_ != nullptr; }

 protected:
  timer_base() = default;
  ~timer_base() { cancel(); }

 private:
  friend class timer_wheel;
  /// Its time has come, and it is off the wheel. May schedule or destroy any timer, this one included.
  virtual void on_due() = 0;

  timer_wheel* wheel_ = nullptr;  // null: not scheduled
  timer_base* next_ = nullptr;
  timer_base* previous_ = nullptr;  // the list's last one, if this is its first
  std::uint64_t due_ = 0;           // in ticks from the wheel's start
};

/// A task for later.
class timer final : public timer_base {
 public:
  explicit timer(std::function<void()> task) : task_(std::move(task)) {}
  ~timer();

 private:
  void on_due() override;

  std::function<void()> task_;
  timer** running_ = nullptr;  // who wants to know that this was destroyed while its task ran
};

/// A coarse hashed wheel: scheduling and cancelling are O(1), whatever the number of timers. One thread.
class timer_wheel {
 public:
  static constexpr std::chrono::milliseconds tick{10};

  explicit timer_wheel(time_point start);
  /// Takes timers that are left off the wheel and does not run them.
  ~timer_wheel();
  timer_wheel(const timer_wheel&) = delete;
  timer_wheel& operator=(const timer_wheel&) = delete;

  /// Never early, at most one tick late once `advance` is called in time. Replaces an earlier schedule. A moment that
  /// is past counts as the next tick; `time_point::max()` is never, and the same as `cancel`.
  void schedule(timer_base&, time_point when);
  /// Runs what is due, in the order of ticks, within one tick in the order of scheduling (unless it is called later
  /// than a whole turn of the wheel, 10 s; then all of it, but in no order). A task may schedule, cancel or destroy
  /// any timer, its own included; what it schedules is run by a later call. It must not call `advance`. If a task
  /// throws, the exception passes through and the next call runs the rest.
  void advance(time_point now);
  /// When `advance` should next be called; time_point::max() if the wheel is empty. Never late; early by at most a
  /// turn of the wheel where timers were cancelled or lie further ahead than one turn.
  [[nodiscard]] time_point next() const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  friend class timer_base;

  // A list runs from its first to null; the first's `previous_` is the last, so that appending needs no second head.
  using list = timer_base*;
  static constexpr std::size_t slot_count =
      1024;  // one turn is 10.24 s: close and handshake time-outs fit in

  [[nodiscard]] list& slot_of(std::uint64_t tick) noexcept { return slots_[tick % slot_count]; }
  [[nodiscard]] time_point time_of(std::uint64_t tick_number) const noexcept;
  [[nodiscard]] std::uint64_t skip_empty(std::uint64_t from, std::uint64_t to) const noexcept;
  [[nodiscard]] std::uint64_t earliest() const noexcept;
  void mark(std::uint64_t tick) noexcept;
  void collect(std::uint64_t tick) noexcept;
  void run_collected();
  void remove(timer_base&) noexcept;
  static void append(list&, timer_base&) noexcept;
  static void unlink(list&, timer_base&) noexcept;

  time_point start_;
  std::uint64_t current_ = 0;  // every tick up to this one has been run
  std::uint64_t next_ = 0;     // no timer is due before this tick
  std::size_t size_ = 0;
  list running_ = nullptr;  // taken off the slots by `advance`, about to run
  std::array<list, slot_count> slots_{};
  std::array<std::uint64_t, slot_count / 64> used_{};  // a bit for each slot that is not empty
};

}  // namespace fairlead::protocol
