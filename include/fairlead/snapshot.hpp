#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fairlead/close.hpp>
#include <fairlead/connection.hpp>
#include <fairlead/result.hpp>
#include <fairlead/send_options.hpp>

/// What the actors say of themselves when asked: values, copied at one moment, nobody's afterwards.
namespace fairlead {

using wall_time = std::chrono::system_clock::time_point;

/// Where a connection stands. It sends only in `open`.
enum class connection_state : std::uint8_t { connecting, accepted, open, closing, closed, failed };
[[nodiscard]] std::string_view to_string(connection_state) noexcept;

/// One thing that happened to a connection, as the debug endpoint shows it.
struct recorded_event {
  std::chrono::milliseconds at{0};  ///< since the connection began
  const char* name = "";  ///< a stable name, in static storage: "open", "overflow", "initiated" ...
  std::uint64_t detail = 0;  ///< what the name says: a close code, a count, a send_result
};

/// What has passed over a connection. Bytes in are payload, bytes written are frames with their headers.
struct traffic {
  std::uint64_t messages_in = 0, bytes_in = 0;
  std::array<std::uint64_t, send_result_count> outcomes{};  ///< messages by send_result
  std::uint64_t bytes_written = 0;
};

/// The last attempt to close a connection, whoever made it and whatever came of it.
struct close_attempt {
  close_code code = close_code::abnormal;
  std::string reason;
  initiator by = initiator::transport;
  close_result result = close_result::no_such_connection;
  std::chrono::milliseconds at{0};  ///< since the connection began
};

/// One connection at one moment, made by its own actor.
struct connection_snapshot {
  connection_id id;
  connection_state state = connection_state::connecting;
  wall_time began;
  std::chrono::milliseconds in_state{0};
  std::string peer, user, target;
  connection_metadata metadata;         ///< of its admission
  std::optional<wall_time> expires_at;  ///< its admission; nothing: never
  std::string_view tls;                 ///< "TLSv1.3", in static storage; empty without TLS
  bool compresses = false;              ///< permessage-deflate was agreed on
  std::uint64_t mailbox = 0;            ///< messages waiting in the actor's mailbox
  std::uint32_t queued_messages = 0;    ///< accepted and not settled: mailbox and wire together
  std::uint64_t queued_bytes = 0;
  std::uint64_t wire_bytes = 0;  ///< of those, waiting for the kernel
  /// What the queue may hold, and what happens then. A connection keeps what was configured when it began.
  std::uint64_t max_queued_messages = 0, max_queued_bytes = 0;
  slow_policy slow_consumers = slow_policy::disconnect;
  std::uint32_t unhandled_messages =
      0;  ///< of the peer's, that its behaviors or session have not handled yet; large ones count for several
  bool lagging = false;  ///< not read for now: those are too many
  traffic counts;
  std::chrono::milliseconds silent{0};  ///< since the peer's last bytes, of whatever kind
  bool awaits_pong = false;             ///< a ping of ours is not answered yet
  bool throttled = false;               ///< not read for now: it sent more than it may
  std::optional<std::chrono::microseconds> round_trip = {};  ///< of the last ping
  std::optional<close_attempt> last_close;
  std::vector<recorded_event> events;  ///< oldest first
};

/// A connection that ended: a line of the table behind /debug/closed.
struct closed_record {
  connection_id id;
  std::string peer, user;
  wall_time began, ended;
  connection_state final_state = connection_state::closed;  ///< closed or failed
  connection_state reached =
      connection_state::connecting;  ///< how far it had come before it closed
  close_info info;
  traffic counts;
};

/// Every connection of a server. Nobody is waited for beyond the time-out: who did not answer is listed.
struct server_snapshot {
  std::vector<connection_snapshot> connections;  ///< in no order
  std::vector<connection_id> unanswered;         ///< connections whose actor did not answer in time
  std::vector<std::size_t> unanswered_loops;     ///< event loops whose roster did not
};

}  // namespace fairlead
