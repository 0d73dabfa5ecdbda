#pragma once

#include <memory>

#include <fairlead/log.hpp>

namespace fairlead {

enum class log_format : std::uint8_t { human, json };

/// A log that writes one line per event to standard error, by spdlog, from any thread.
[[nodiscard]] std::shared_ptr<log> make_log(log_format = log_format::human,
                                            severity least = severity::info);

/// Changes what a log of `make_log` writes, at any time, from any thread. Does nothing to other logs.
void set_least_severity(log&, severity least) noexcept;

}  // namespace fairlead
