#pragma once

#include <memory>

#include <fairlead/log.hpp>

namespace fairlead {

enum class log_format : std::uint8_t { human, json };

/// A log that writes one line per event to standard error, by spdlog, from any thread.
[[nodiscard]] std::shared_ptr<log> make_log(log_format = log_format::human,
                                            severity least = severity::info);

}  // namespace fairlead
