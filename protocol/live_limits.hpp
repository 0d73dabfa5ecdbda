#pragma once

#include <atomic>

#include <fairlead/limits.hpp>

namespace fairlead::protocol {

/// The limits in force, which may be replaced while every loop reads them. Any thread; a read is one load. What was
/// replaced is kept to the end, because somebody may still be reading it: an operator reloads a few times a day.
class live_limits {
 public:
  explicit live_limits(const limits& first) { set(first); }
  ~live_limits() {
    for (const auto* v = current_.load(); v;) {
      const auto* const before = v->before;
      delete v;
      v = before;
    }
  }
  live_limits(const live_limits&) = delete;
  live_limits& operator=(const live_limits&) = delete;

  [[nodiscard]] const limits& get() const noexcept {
    return current_.load(std::memory_order_acquire)->values;
  }
  void set(const limits& values) {
    auto* const next = new version{values, current_.load(std::memory_order_relaxed)};
    while (!current_.compare_exchange_weak(next->before, next, std::memory_order_release,
                                           std::memory_order_relaxed)) {
    }
  }

 private:
  struct version {
    limits values;
    version* before;
  };
  std::atomic<version*> current_{nullptr};
};

}  // namespace fairlead::protocol
