#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace fairlead::protocol {

using wall_time = std::chrono::system_clock::time_point;

/// RFC 3339 in UTC with milliseconds: `2026-01-31T12:00:00.000Z`.
[[nodiscard]] std::string rfc3339(wall_time);
inline constexpr std::size_t rfc3339_size = 24;
/// The same where `out` points, which has room for it. Where it ends.
char* put_rfc3339(char* out, wall_time) noexcept;

}  // namespace fairlead::protocol
