#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fairlead::protocol {

/// Each limit, policy and refusal that can act, by the name under which it is counted in the metrics. A new one goes
/// before `last_`, and has its name in limit_hit.cpp.
enum class limit_hit : std::uint8_t {
  // what is sent
  overflow,               ///< sends refused for want of room in one connection's queue
  too_large,              ///< sends refused for their size
  slow_close,             ///< slow consumers that were closed
  expired,                ///< messages whose time to live passed in the queue
  dropped_oldest,         ///< messages dropped from the queue for newer ones
  replaced,               ///< messages replaced by a newer one with the same key
  queue_budget,           ///< connections closed because all queues together held too much
  stream_budget_dropped,  ///< events given up early because all streams together kept too much
  stream_budget_refused,  ///< emits refused because of that
  pending_broadcasts,  ///< broadcasts and sends by id refused because too many waited for their fan-out
  // what is received
  inbox_overflow,       ///< sockets closed with 1013 because their session's inbox is full, again
  message_too_big,      ///< closes with 1009
  too_many_fragments,   ///< closes for the number of a message's fragments
  inbound_rate_paused,  ///< reading paused because a client sent too much
  inbound_rate_closed,  ///< closes because it went on
  unhandled_paused,     ///< reading paused because handlers lagged behind
  idle,                 ///< connections without traffic that were closed
  pong_timeout,         ///< connections that did not answer a ping
  // who comes in
  tls_failed,               ///< TLS handshakes that failed, and TLS clients on a port without
  bad_upgrade,              ///< upgrade requests refused because they break RFC 6455
  header_limits,            ///< requests refused for the size or number of their header fields
  handshake_timeout,        ///< requests that did not arrive in time
  admission_timeout,        ///< upgrades that nobody decided on in time
  pending_admissions,       ///< upgrades refused because too many wait for a decision
  admission_expired,        ///< connections closed because their admission has expired
  connections,              ///< sockets past the limit in total
  connections_per_address,  ///< past the limit of one address
  connections_per_user,     ///< past the limit of one user
  accept_rate,              ///< pauses in accepting
  origin,                   ///< upgrades refused for their Origin
  unauthorized,             ///< upgrades refused for their credentials
  last_,
};

inline constexpr std::size_t limit_hit_count = static_cast<std::size_t>(limit_hit::last_);

/// The name as metrics have it: `"connections_per_address"`.
[[nodiscard]] std::string_view to_string(limit_hit) noexcept;

/// How often each has acted since the server began. Any thread; a limit that does not act costs nothing.
class limit_hits {
 public:
  void add(limit_hit what, std::uint64_t n = 1) noexcept {
    counts_[static_cast<std::size_t>(what)].fetch_add(n, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t count(limit_hit what) const noexcept {
    return counts_[static_cast<std::size_t>(what)].load(std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<std::uint64_t>, limit_hit_count> counts_{};
};

}  // namespace fairlead::protocol
