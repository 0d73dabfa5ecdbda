#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <fairlead/close.hpp>
#include <fairlead/connection.hpp>
#include <fairlead/result.hpp>

#include "protocol/machine.hpp"

namespace fairlead::protocol {

using wall_time = std::chrono::system_clock::time_point;

/// One thing that happened to a connection, as the debug endpoint shows it.
struct recorded_event {
  std::chrono::milliseconds at{0};  ///< since the connection began
  const char* name =
      "";  ///< a stable name: "open", "send_refused", "close_asked" ... (static storage)
  std::uint64_t detail = 0;  ///< what the name says: a close code, a count, a send_result
};

/// The last 32 events; grows from empty so that a quiet connection pays little.
class event_record {
 public:
  static constexpr std::size_t capacity = 32;
  void add(recorded_event);
  [[nodiscard]] std::vector<recorded_event> in_order() const;

 private:
  std::vector<recorded_event> ring_;
  std::size_t next_ = 0;
};

struct traffic {
  std::uint64_t messages_in = 0, bytes_in = 0;
  std::array<std::uint64_t, send_result_count> outcomes{};  ///< messages by send_result
  std::uint64_t bytes_written = 0;
};

/// The last attempt to close a connection, whoever made it and whatever came of it.
struct close_attempt {
  close_code code;
  std::string reason;
  initiator by;
  close_result result;
  std::chrono::milliseconds at{0};  ///< since the connection began
};

/// One connection at one moment, made by its own actor.
struct connection_snapshot {
  connection_id id;
  connection_state state;
  wall_time began;
  std::chrono::milliseconds in_state{0};
  std::string peer, user, target;
  std::uint64_t mailbox = 0;  ///< messages waiting in the actor's mailbox
  std::uint32_t queued_messages =
      0;  ///< counted at enqueue and not settled: mailbox and wire together
  std::uint64_t queued_bytes = 0;
  std::uint64_t wire_bytes = 0;  ///< of those, waiting for the kernel
  traffic counts;
  std::optional<close_attempt> last_close;
  std::vector<recorded_event> events;  ///< oldest first
};

/// A connection that ended: a line of the table behind /debug/closed.
struct closed_record {
  connection_id id;
  std::string peer, user;
  wall_time began, ended;
  connection_state final_state;  ///< closed or failed
  connection_state reached;      ///< how far it had come before it closed
  close_info info;
  traffic counts;
};

}  // namespace fairlead::protocol
