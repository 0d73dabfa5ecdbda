#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>

#include "protocol/ports.hpp"

namespace fairlead::test {

/// An event loop that a test turns by hand, with a clock of its own: no thread, no sleep. Posting is safe from any thread.
class test_loop final : public protocol::event_loop {
 public:
  bool post(task t) override {
    const std::lock_guard lock{mutex_};
    if (stopped_) return false;
    tasks_.push_back(std::move(t));
    return true;
  }
  [[nodiscard]] bool inside() const noexcept override { return true; }
  [[nodiscard]] protocol::time_point now() const noexcept override { return now_; }
  [[nodiscard]] protocol::time_point read_clock() const noexcept override { return now_; }
  void schedule(protocol::timer_base& t, protocol::time_point when) override {
    wheel_.schedule(t, when);
  }

  /// Runs one task; false if there was none.
  bool turn() {
    task next;
    {
      const std::lock_guard lock{mutex_};
      if (tasks_.empty()) return false;
      next = std::move(tasks_.front());
      tasks_.pop_front();
    }
    next();
    return true;
  }
  /// Runs until nothing is left to run.
  void run() {
    while (turn()) {
    }
  }
  /// Lets time pass in steps of one tick, running what becomes due and ready on the way. As on any loop, a timer may
  /// run up to two ticks late, and never early.
  void advance(std::chrono::milliseconds by) {
    for (const auto end = now_ + by; now_ < end; run()) {
      now_ = std::min(now_ + protocol::timer_wheel::tick, end);
      wheel_.advance(now_);
    }
  }
  /// Lets one tick pass: what becomes due is behind what waits, and nothing runs.
  void tick() {
    now_ += protocol::timer_wheel::tick;
    wheel_.advance(now_);
  }
  /// Lets time pass while the loop is stuck: nothing runs.
  void pass(std::chrono::milliseconds by) { now_ += by; }
  /// From now on posts are refused, as by a loop that has stopped for good.
  void stop() {
    const std::lock_guard lock{mutex_};
    stopped_ = true;
  }
  [[nodiscard]] std::size_t timers() const noexcept { return wheel_.size(); }

 private:
  std::mutex mutex_;
  std::deque<task> tasks_;
  protocol::time_point now_{std::chrono::hours{1}};
  protocol::timer_wheel wheel_{now_};
  bool stopped_ = false;
};

}  // namespace fairlead::test
