#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>

#include <fairlead/log.hpp>

/// One event as one line of text. Whatever bytes a peer put into a value, the line stays one line and its fields stay
/// its fields. Pure.
namespace fairlead::service {

using wall_clock_time = std::chrono::system_clock::time_point;

/// `2026-01-01T00:00:00.000Z INFO  connection.closed id=c0-1 code=1000 reason="so long"`, without a line end. A value
/// is quoted (see `in_quotes`) unless it consists of letters, digits and `-._:/@+,[]` alone.
[[nodiscard]] std::string human_line(wall_clock_time, severity, std::string_view event,
                                     std::span<const log_field>);

/// `{"time":"...","severity":"info","event":"connection.closed","id":"c0-1","code":1000}`, without a line end.
[[nodiscard]] std::string json_line(wall_clock_time, severity, std::string_view event,
                                    std::span<const log_field>);

}  // namespace fairlead::service
