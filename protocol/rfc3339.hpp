#pragma once

#include <chrono>
#include <string>

namespace fairlead::protocol {

using wall_time = std::chrono::system_clock::time_point;

/// RFC 3339 in UTC with milliseconds: `2026-01-31T12:00:00.000Z`.
[[nodiscard]] std::string rfc3339(wall_time);
/// The same behind what `out` holds: allocates nothing where there is room.
void append_rfc3339(std::string& out, wall_time);

}  // namespace fairlead::protocol
