#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "protocol/ports.hpp"

namespace fairlead::test {

/// An event loop with a thread and the real clock, for tests that want real races.
class threaded_loop final : public protocol::event_loop {
 public:
  threaded_loop() : thread_([this] { run(); }) {}
  ~threaded_loop() override { stop(); }

  bool post(task t) override {
    {
      const std::lock_guard lock{mutex_};
      if (stopping_) return false;
      tasks_.push_back(std::move(t));
    }
    wake_.notify_one();
    return true;
  }
  [[nodiscard]] bool inside() const noexcept override { return std::this_thread::get_id() == id_; }
  [[nodiscard]] protocol::time_point now() const noexcept override { return clock::now(); }
  [[nodiscard]] protocol::time_point read_clock() const noexcept override { return clock::now(); }
  void schedule(protocol::timer_base& t, protocol::time_point when) override {
    wheel_.schedule(t, when);
  }

  /// Refuses posts, runs what was posted before, joins. Not from its own thread; idempotent.
  void stop() {
    {
      const std::lock_guard lock{mutex_};
      stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

 private:
  using clock = std::chrono::steady_clock;

  void run() {
    id_ = std::this_thread::get_id();
    for (;;) {
      task next;
      {
        std::unique_lock lock{mutex_};
        const auto ready = [&] { return stopping_ || !tasks_.empty(); };
        if (const auto until = wheel_.next(); until == protocol::time_point::max())
          wake_.wait(lock, ready);
        else
          wake_.wait_until(lock, until, ready);
        if (tasks_.empty() && stopping_) return;
        if (!tasks_.empty()) {
          next = std::move(tasks_.front());
          tasks_.pop_front();
        }
      }
      if (next) next();
      wheel_.advance(clock::now());
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<task> tasks_;
  protocol::timer_wheel wheel_{clock::now()};
  bool stopping_ = false;
  std::atomic<std::thread::id> id_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace fairlead::test
