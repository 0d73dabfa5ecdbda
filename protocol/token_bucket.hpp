#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "protocol/time.hpp"

namespace fairlead::protocol {

/// So many tokens per second, and at once as many as come in `burst`.
struct token_rate {
  std::uint64_t per_second;  ///< at least 1
  std::chrono::milliseconds burst;
};

/// A token bucket, kept as one moment: when it will be full again. So it needs no timer to fill, and eight bytes.
class token_bucket {
 public:
  using duration = time_point::duration;

  /// Takes so many, whether they are there or not. Returns how long it takes until none is owed any more: zero if they
  /// were there.
  duration take(std::uint64_t tokens, token_rate rate, time_point now) noexcept {
    full_at_ = std::min(std::max(full_at_, now) + worth(tokens, rate), now + most_owed);
    return std::max(full_at_ - now - duration{rate.burst}, duration::zero());
  }

 private:
  // What somebody owes is paid back by the time that passes; nobody has to wait for longer than this.
  static constexpr duration most_owed = std::chrono::hours{24};
  static constexpr std::uint64_t most_tokens = std::uint64_t{1} << 32;

  [[nodiscard]] static duration worth(std::uint64_t tokens, token_rate rate) noexcept {
    static_assert(std::ratio_equal_v<duration::period, std::nano>);
    return duration{std::min(tokens, most_tokens) * std::nano::den / rate.per_second};
  }

  time_point full_at_{};
};

}  // namespace fairlead::protocol
