#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fairlead {

/// A WebSocket close code (RFC 6455 7.4). Any 16-bit value; `may_be_sent` says which may go into a Close frame.
enum class close_code : std::uint16_t {
  normal = 1000,
  going_away = 1001,
  protocol_error = 1002,
  unsupported_data = 1003,
  no_status = 1005,  ///< never on the wire: the peer's Close had no code
  abnormal = 1006,   ///< never on the wire: there was no Close frame
  invalid_payload = 1007,
  policy_violation = 1008,
  message_too_big = 1009,
  extension_required = 1010,
  internal_error = 1011,
  service_restart = 1012,
  try_again_later = 1013,
  unauthorized = 3000,  ///< what it was admitted by has expired
  slow_consumer = 3008,
  // Sessions. By the convention of existing SDKs, a client does not come back after a code from 4500 on.
  session_ended = 4500,
  session_unknown = 4501,     ///< there is no such session
  session_token = 4502,       ///< the resume token is wrong, used up or expired
  session_taken_over = 4503,  ///< another socket has attached in this one's place
  session_full = 4504,        ///< it has as many sockets as it may
};

/// The longest close reason, in bytes: a control frame holds 125, the code takes two (RFC 6455 5.5).
inline constexpr std::size_t max_close_reason = 123;

/// Whether an endpoint may put this code into a Close frame: 1000-1003, 1007-1014 and 3000-4999 (RFC 6455 7.4.1,
/// 7.4.2 and the IANA registry). 1010 is for clients and is refused.
[[nodiscard]] bool may_be_sent(close_code) noexcept;

/// Whether these bytes may be a close reason: valid UTF-8 of at most `max_close_reason` bytes (RFC 6455 5.5.1).
[[nodiscard]] bool valid_close_reason(std::string_view) noexcept;

/// Who ended a connection.
enum class initiator : std::uint8_t {
  application,  ///< the embedder, a handler, or the internal API asked
  peer,         ///< the client sent a Close frame first
  violation,    ///< the client broke the protocol; the code says how
  error,        ///< a handler or actor of ours threw
  limit,        ///< a limit of ours was passed (slow consumer, handshake or idle time ...)
  shutdown,     ///< the server is going down
  transport,    ///< the socket broke: reset, end of file without a Close frame, time-out
};

[[nodiscard]] std::string_view to_string(initiator) noexcept;

/// Why a connection ended, as handlers, logs and the debug endpoint tell it.
struct close_info {
  close_code code =
      close_code::abnormal;  ///< the first Close frame's code; `abnormal` where there was none
  std::string reason;        ///< that frame's reason, or what went wrong in words
  initiator by = initiator::transport;
  bool clean = false;  ///< both Close frames were exchanged (RFC 6455 7.1.4)
  friend bool operator==(const close_info&, const close_info&) = default;
};

}  // namespace fairlead
