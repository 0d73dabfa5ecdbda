#pragma once

#include "bench/load/options.hpp"
#include "bench/load/process.hpp"

namespace fairlead::bench {

/// Decides when a phase starts nothing new, and when one that waits for its last messages has stalled.
class window {
 public:
  window(double seconds, std::uint64_t rounds)
      : end_(now_ns() + to_ns(seconds)), rounds_left_(rounds), limited_(rounds != 0) {}

  /// Asks for one more message.
  bool take() noexcept {
    if (now_ns() >= end_ || (limited_ && rounds_left_ == 0)) return false;
    if (limited_) --rounds_left_;
    return true;
  }

  /// Tells how many deliveries there are by now. True when for `patience` there has been no new one.
  bool stalled(std::uint64_t deliveries) noexcept {
    const auto now = now_ns();
    if (deliveries != last_deliveries_ || last_progress_ == 0) {
      last_deliveries_ = deliveries;
      last_progress_ = now;
    }
    return now - last_progress_ > patience;
  }

 private:
  static constexpr std::uint64_t patience =
      3'000'000'000;  // far beyond any pause that is not a loss

  static std::uint64_t to_ns(double seconds) { return static_cast<std::uint64_t>(seconds * 1e9); }

  std::uint64_t end_;
  std::uint64_t rounds_left_;
  bool limited_;
  std::uint64_t last_deliveries_ = 0;
  std::uint64_t last_progress_ = 0;
};

}  // namespace fairlead::bench
