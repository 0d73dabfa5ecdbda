#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <string_view>

#include <fairlead/limits.hpp>
#include <fairlead/server.hpp>

#include "service/problem.hpp"

namespace fairlead::service {

/// Every limit with its name and the values it may have: `visit(name, value, least, most, about)`. Sizes and counts are
/// unsigned, times are milliseconds. The one list behind option checks, the configuration file and its help.
template <class Limits, class Visitor>
void for_each_limit(Limits& l, Visitor&& visit) {
  using std::uint64_t;
  using std::chrono::hours;
  using std::chrono::milliseconds;
  // `account` packs a connection's queue into one word, and lets half of what fits in; others may make way for twice a
  // limit.
  constexpr uint64_t most_messages = uint64_t{1} << 21;
  constexpr uint64_t most_bytes = uint64_t{1} << 38;
  constexpr uint64_t one_message = (uint64_t{1} << 32) - 16;  // with its frame header in 32 bits
  constexpr uint64_t any = uint64_t{1} << 48;
  visit("max_message_size", l.max_message_size, uint64_t{1}, one_message,
        "bytes a client may send in one message; past it the connection is closed with 1009");
  visit("max_send_size", l.max_send_size, uint64_t{1}, one_message,
        "bytes of one message to a client; past it the send is refused: too_large");
  visit("max_queued_messages", l.max_queued_messages, uint64_t{1}, most_messages,
        "messages that may wait for one client; past it slow_consumers says what happens");
  visit("max_queued_bytes", l.max_queued_bytes, uint64_t{1}, most_bytes,
        "bytes that may wait for one client; past it slow_consumers says what happens");
  visit("max_total_queued_bytes", l.max_total_queued_bytes, uint64_t{1}, any,
        "bytes that may wait for all clients together; past it the slowest are closed with 3008");
  visit("max_unhandled_messages", l.max_unhandled_messages, uint64_t{1}, most_messages,
        "messages of one client that may wait for a handler; past it its socket is not read");
  visit("max_pending_broadcasts", l.max_pending_broadcasts, uint64_t{1}, any,
        "broadcasts accepted and not yet fanned out, whole server");
  visit("max_pending_broadcast_bytes", l.max_pending_broadcast_bytes, uint64_t{1}, any,
        "their bytes, whole server");
  visit("max_header_size", l.max_header_size, uint64_t{256}, uint64_t{1} << 20,
        "bytes of a request line and header; past it 431");
  visit("max_header_count", l.max_header_count, uint64_t{8}, uint64_t{1} << 16,
        "header fields of a request; past it 431");
  visit("max_connections", l.max_connections, uint64_t{1}, uint64_t{1} << 24,
        "sockets in total; past it 503");
  visit("max_connections_per_address", l.max_connections_per_address, uint64_t{1},
        uint64_t{1} << 24, "sockets of one IPv4 address or one IPv6 /64 network; past it 503");
  visit("max_connections_per_user", l.max_connections_per_user, uint64_t{1}, uint64_t{1} << 24,
        "WebSockets of one user; past it 503");
  visit("max_sessions", l.max_sessions, uint64_t{1}, uint64_t{1} << 24,
        "sessions that have not ended; past it spawning one is refused: too_many");
  visit("max_total_stream_bytes", l.max_total_stream_bytes, uint64_t{1}, any,
        "bytes of events that all sessions may keep together; past it a session gives up its own "
        "oldest");
  visit("max_accepts_per_second", l.max_accepts_per_second, uint64_t{1}, uint64_t{1} << 24,
        "new sockets per second, whole server; past it they wait in the kernel's queue");
  visit("max_fragments", l.max_fragments, uint64_t{1}, uint64_t{1} << 24,
        "frames of one message of a client's; more closes the connection with 1008");
  visit("max_inbound_messages_per_second", l.max_inbound_messages_per_second, uint64_t{1},
        uint64_t{1} << 24, "frames a client may send; past it its socket is not read for a while");
  visit("max_inbound_bytes_per_second", l.max_inbound_bytes_per_second, uint64_t{1024}, most_bytes,
        "bytes a client may send; past it its socket is not read for a while");
  visit("inbound_burst", l.inbound_burst, milliseconds{1}, milliseconds{hours{1}},
        "what a client may send in this time it may also send at once");
  visit("inbound_patience", l.inbound_patience, milliseconds{0}, milliseconds{hours{24}},
        "a client that sends more than it may for so long is closed with 1008");
  visit("handshake_timeout", l.handshake_timeout, milliseconds{1}, milliseconds{hours{24}},
        "from accept to a complete upgrade request; past it 408");
  visit("admission_timeout", l.admission_timeout, milliseconds{1}, milliseconds{hours{24}},
        "from a complete upgrade request to the decision on it; past it 503");
  visit("max_pending_admissions", l.max_pending_admissions, uint64_t{1}, uint64_t{1} << 24,
        "upgrade requests that wait for a decision; past it 503");
  visit("expiry_grace", l.expiry_grace, milliseconds{0}, milliseconds{hours{24}},
        "how long a connection goes on when its token has expired; then closed with 3000");
  visit("close_timeout", l.close_timeout, milliseconds{1}, milliseconds{hours{24}},
        "from our Close frame, or what the client has last taken before it, to its answer; then "
        "aborted");
  visit("ping_interval", l.ping_interval, milliseconds{20}, milliseconds{hours{24}},
        "a client that was silent for so long (or up to 10 % less) is sent a ping");
  visit("pong_timeout", l.pong_timeout, milliseconds{20}, milliseconds{hours{24}},
        "a client that is silent for so long after a ping has gone: the connection has failed");
  visit("idle_timeout", l.idle_timeout, milliseconds{20}, milliseconds{hours{24 * 30}},
        "without a message either way for so long the connection is closed with 1001");
  visit("tcp_user_timeout", l.tcp_user_timeout, milliseconds{1000}, milliseconds{hours{24}},
        "what was sent and is not acknowledged for so long: the connection has failed");
}

/// How many event loops a server may have.
inline constexpr unsigned most_threads = 1024;

/// zlib's highest level.
inline constexpr int most_compression = 9;

/// What of one option cannot be used; empty if nothing.
[[nodiscard]] std::string_view path_problem(std::string_view path) noexcept;
[[nodiscard]] std::string_view query_parameter_problem(std::string_view name) noexcept;
[[nodiscard]] std::string_view token_problem(std::string_view token) noexcept;

/// Everything that is wrong with these options, by option (`drain.grace`).
[[nodiscard]] problems check(const drain_options&);
[[nodiscard]] problems check(const server_options&);
/// The same for options that are to be reloaded: with these, what of `in_force` stays until a restart.
[[nodiscard]] problems check_reload(const server_options& in_force, const server_options& wanted);

}  // namespace fairlead::service
