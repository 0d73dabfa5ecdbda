#pragma once

#include <chrono>

namespace fairlead::protocol {

/// A moment on the loop's clock, which never goes back. Always an argument here: nothing in this folder reads a clock.
/// `time_point::max()` is never.
using time_point = std::chrono::steady_clock::time_point;

}  // namespace fairlead::protocol
