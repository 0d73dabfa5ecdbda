#pragma once

#include "bench/load/options.hpp"
#include "bench/load/report.hpp"

namespace fairlead::bench {

/// Each one opens its connections, runs, and reports. They throw load_error or std::system_error when a run cannot be
/// completed; a message that went missing is no such case but a fault in the report.
outcome run_broadcast(const target_options& target, const broadcast_options& options);
outcome run_echo(const target_options& target, const echo_options& options);
outcome run_idle(const target_options& target, const idle_options& options);

}  // namespace fairlead::bench
