#pragma once

#include <atomic>
#include <cstdint>

namespace fairlead::net {

/// Lets any thread in until it is closed, and then waits for those inside to leave. So what lies behind it may be freed
/// while others still hold the door: no one is inside and no one comes in again.
class door {
 public:
  /// Whether the caller is inside now. If so it must `leave`.
  [[nodiscard]] bool enter() noexcept {
    // Counting comes first: whoever sees it open was counted before `close` began to wait.
    if ((state_.fetch_add(one) & closed) == 0) return true;
    leave();
    return false;
  }

  void leave() noexcept {
    if (state_.fetch_sub(one) == (closed | one)) state_.notify_all();
  }

  /// Returns once nobody is inside. Not from inside. Idempotent.
  void close() noexcept {
    auto seen = state_.fetch_or(closed) | closed;
    while (seen != closed) {
      state_.wait(seen);
      seen = state_.load();
    }
  }

 private:
  static constexpr std::uint64_t closed = 1;
  static constexpr std::uint64_t one = 2;
  std::atomic<std::uint64_t> state_{0};
};

}  // namespace fairlead::net
