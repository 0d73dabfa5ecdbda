#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <fairlead/send_options.hpp>

namespace fairlead {

/// What one client, and all of them together, may cost. On by default; sizes in bytes. Zero is never "unlimited".
struct limits {
  std::size_t max_message_size = 64 * 1024;      ///< inbound: larger closes with 1009
  std::size_t max_send_size = 16 * 1024 * 1024;  ///< outbound: larger is refused with `too_large`
  std::uint32_t max_queued_messages =
      4096;  ///< per connection, counted at enqueue; past it `slow_consumers` applies
  std::size_t max_queued_bytes =
      1024 * 1024;  ///< per connection, counted at enqueue; past it `slow_consumers` applies
  slow_policy slow_consumers =
      slow_policy::disconnect;  ///< when a queue is full; a message may have its own
  std::size_t max_total_queued_bytes =
      512 * 1024 *
      1024;  ///< of all connections, not taken by the kernel; past it the slowest: 3008
  std::uint32_t max_unhandled_messages =
      64;  ///< inbound, per connection; past it the socket is not read. One counts for one more with each 4 KB
  std::size_t max_pending_broadcasts =
      4096;  ///< whole server: broadcasts accepted and not yet fanned out
  std::size_t max_pending_broadcast_bytes = 64 * 1024 * 1024;
  std::size_t max_header_size = 8 * 1024;  ///< request line and header fields; past it 431
  std::size_t max_header_count = 64;       ///< past it 431
  std::size_t max_connections = 20'000;    ///< sockets, if there are descriptors; past it 503
  std::size_t max_connections_per_address =
      15'000;  ///< sockets of one IPv4 address or one IPv6 /64; past it 503
  std::size_t max_connections_per_user = 1'000;  ///< WebSockets of one user; past it 503
  std::size_t max_sessions = 20'000;  ///< that have not ended; past it spawning one is refused
  std::size_t max_total_stream_bytes =
      1024 * 1024 * 1024;  ///< of events that all sessions keep; past it an emitter's oldest go
  std::uint32_t max_accepts_per_second = 5'000;  ///< whole server; past it newcomers wait
  std::uint32_t max_fragments = 128;  ///< frames of one inbound message; more closes with 1008
  std::uint32_t max_inbound_messages_per_second =
      10'000;  ///< frames of any kind, per connection; past it the socket is not read for a while
  std::size_t max_inbound_bytes_per_second = 16 * 1024 * 1024;  ///< the same, bytes
  std::chrono::milliseconds inbound_burst{
      2'000};  ///< what comes in this time at those rates may come at once
  std::chrono::milliseconds inbound_patience{
      30'000};  ///< who sends more than those rates for so long is closed with 1008
  std::chrono::milliseconds handshake_timeout{
      10'000};  ///< from accept to a complete upgrade request; past it 408
  std::chrono::milliseconds admission_timeout{
      10'000};  ///< from a complete upgrade request to the hook's decision; past it 503
  std::size_t max_pending_admissions = 2'000;  ///< upgrade requests that wait for one; past it 503
  std::chrono::milliseconds expiry_grace{
      10'000};  ///< from when an admission expires to the Close frame (3000)
  std::chrono::milliseconds close_timeout{
      5'000};  ///< from our Close frame, or what the peer last took before it, to its answer; then aborted
  std::chrono::milliseconds ping_interval{
      25'000};  ///< silence of the peer after which it is sent a ping; less by up to 10 %, by chance
  std::chrono::milliseconds pong_timeout{
      8'000};  ///< silence after a ping; then the connection has failed
  std::chrono::milliseconds idle_timeout{
      86'400'000};  ///< without a message either way; then closed with 1001
  std::chrono::milliseconds tcp_user_timeout{
      30'000};  ///< for what is sent and not acknowledged (RFC 5482); then the connection has failed
};

}  // namespace fairlead
