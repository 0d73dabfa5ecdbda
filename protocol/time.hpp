#pragma once

#include <chrono>

namespace fairlead::protocol {

/// A moment on the loop's clock, which never goes back. Always an argument here: nothing in this folder reads a clock.
/// `time_point::max()` is never.
using time_point = std::chrono::steady_clock::time_point;

/// Nobody waits longer: more than this, added to a moment, might be more than a clock can say.
inline constexpr std::chrono::milliseconds longest_wait = std::chrono::hours{24 * 365};

}  // namespace fairlead::protocol
