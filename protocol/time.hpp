#pragma once

#include <algorithm>
#include <chrono>

namespace fairlead::protocol {

/// A moment on the loop's clock, which never goes back. Always an argument here: nothing in this folder reads a clock.
/// `time_point::max()` is never.
using time_point = std::chrono::steady_clock::time_point;

/// Nobody waits longer: more than this, added to a moment, might be more than a clock can say.
inline constexpr std::chrono::milliseconds longest_wait = std::chrono::hours{24 * 365};

/// A wait that somebody asked for, within these bounds.
[[nodiscard]] constexpr std::chrono::milliseconds
bounded_wait(std::chrono::milliseconds asked) noexcept {
  return std::clamp(asked, std::chrono::milliseconds{0}, longest_wait);
}

}  // namespace fairlead::protocol
