#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

namespace fairlead::protocol {

using time_point = std::chrono::steady_clock::time_point;
class timer_wheel;

/// A task for later. Its owner keeps it; destroying or cancelling it takes it off the wheel. Not movable. One thread.
class timer {
 public:
  explicit timer(std::function<void()> task) : task_(std::move(task)) {}
  ~timer() { cancel(); }
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;

  void cancel() noexcept;
  [[nodiscard]] bool scheduled() const noexcept { return wheel_ != nullptr; }

 private:
  friend class timer_wheel;
  std::function<void()> task_;
  timer_wheel* wheel_ = nullptr;
  timer* next_ = nullptr;
  timer* previous_ = nullptr;
  time_point when_{};
};

/// A coarse hashed wheel: scheduling and cancelling are O(1), whatever the number of timers. One thread.
class timer_wheel {
 public:
  static constexpr std::chrono::milliseconds tick{10};

  explicit timer_wheel(time_point start);
  ~timer_wheel();
  timer_wheel(const timer_wheel&) = delete;
  timer_wheel& operator=(const timer_wheel&) = delete;

  /// Never early, at most one tick late once `advance` is called in time. Replaces an earlier schedule.
  void schedule(timer&, time_point when);
  /// Runs what is due. A task may schedule, cancel or destroy any timer, its own included.
  void advance(time_point now);
  /// When `advance` should next be called; time_point::max() if the wheel is empty.
  [[nodiscard]] time_point next() const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  friend class timer;
  std::size_t size_ = 0;
  // the wheel's slots: see the source
};

}  // namespace fairlead::protocol
