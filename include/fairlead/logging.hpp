#pragma once

#include <cstdint>
#include <memory>

#include <fairlead/log.hpp>

namespace fairlead {

enum class log_format : std::uint8_t { human, json };

/// A log that writes one line per event to standard error, by spdlog, from any thread.
///
/// Nobody waits for whoever reads standard error: up to 4,096 lines are queued for a thread of the log's own, which writes
/// them. Past that the oldest are lost. How many is told by `lines_lost`, and by a line `log.lines_lost` when it is read
/// again. A line has the time of its event. Two threads' lines are in the order in which they were queued.
///
/// Destroying the log writes what is queued, for a second at most. What is queued in a process that ends otherwise (`_exit`,
/// `abort`, a signal) is lost: usually nothing, since the thread writes at once. A child of `fork` has no such thread: it
/// must not use the log, nor destroy it.
[[nodiscard]] std::shared_ptr<log> make_log(log_format = log_format::human,
                                            severity least = severity::info);

/// Changes what a log of `make_log` writes, at any time, from any thread. Does nothing to other logs.
void set_least_severity(log&, severity least) noexcept;

/// Lines that a log of `make_log` has lost so far because they came faster than standard error was read; 0 for other logs.
[[nodiscard]] std::uint64_t lines_lost(const log&) noexcept;

}  // namespace fairlead
