#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <fairlead/close.hpp>

namespace fairlead {

/// How a server goes down without hurting anyone: it says that it is not ready; after a grace it accepts nobody more and
/// closes its connections a few at a time, in random order, each behind what is queued for it; in the end it aborts
/// whoever is left.
struct drain_options {
  /// How long everything goes on after `/ready` has turned 503: the time that load balancers take to notice.
  std::chrono::milliseconds grace{0};
  /// Connections closed a second, over all loops. More, where all would not be done within `spread`. At least 1.
  std::uint32_t rate = 1'000;
  /// The longest time from the first close to the last, if half of what is left of `timeout` is not less; 0: all at once.
  std::chrono::milliseconds spread{5'000};
  /// From the call to the end, with the grace in it. Who is left then is aborted.
  std::chrono::milliseconds timeout{10'000};
  /// What clients are told.
  close_code code = close_code::service_restart;
  std::string reason = "server restarting, please reconnect";
  /// Decides the order in which connections are closed; 0: another one each time.
  std::uint64_t seed = 0;
};

/// How far a drain has come.
enum class drain_phase : std::uint8_t {
  serving,  ///< there is none
  grace,    ///< not ready, and everything goes on
  closing,  ///< nobody is accepted any more, connections are closed
  drained,  ///< nobody is left
};
/// As in JSON and logs: `"closing"`.
[[nodiscard]] std::string_view to_string(drain_phase) noexcept;

struct drain_progress {
  drain_phase phase = drain_phase::serving;
  std::uint64_t connections = 0;  ///< there when closing began, or came while it was beginning
  std::uint64_t asked = 0;        ///< of these, told to close so far
  std::uint64_t closed = 0;       ///< ended by a complete closing handshake
  std::uint64_t aborted = 0;      ///< ended otherwise
  std::uint64_t left = 0;         ///< there now
  std::chrono::milliseconds elapsed{0};
};

/// What a drain or a shutdown did. Messages are counted from when closing began.
struct shutdown_summary {
  std::uint64_t connections = 0;       ///< there when it began
  std::uint64_t closed = 0;            ///< ended by a complete closing handshake
  std::uint64_t aborted = 0;           ///< cut at the deadline, or lost on the way
  std::uint64_t cut = 0;               ///< of those, there at the deadline
  std::uint64_t messages_written = 0;  ///< the kernel took their last byte
  std::uint64_t messages_refused = 0;  ///< every other outcome
  std::chrono::milliseconds took{0};
};

}  // namespace fairlead
