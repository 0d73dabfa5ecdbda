#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include <fairlead/limits.hpp>

#include "net/asio.hpp"
#include "protocol/time.hpp"

namespace fairlead::net {

/// Who counts as one client: an IPv4 address, or the /64 network of an IPv6 address, which one subscriber has as a whole.
using client_network = std::uint64_t;
[[nodiscard]] client_network network_of(const asio::ip::tcp::endpoint&) noexcept;

/// The open sockets of one listener, counted on all of its loops together. Any thread. Touched when a socket is accepted,
/// handed on or closed, and by nothing that a message does.
class crowd {
 public:
  using duration = protocol::time_point::duration;

  void enter(client_network);
  void leave(client_network) noexcept;
  [[nodiscard]] std::size_t total() const noexcept { return total_; }
  [[nodiscard]] std::size_t from(client_network) const;

  /// How long to leave newcomers in the kernel's queue: zero if one may be accepted now.
  [[nodiscard]] duration wait(const fairlead::limits&, protocol::time_point now) const noexcept;
  /// One was accepted.
  void accepted(const fairlead::limits&, protocol::time_point now) noexcept;

 private:
  std::atomic<std::size_t> total_{0};
  std::atomic<duration::rep> calm_at_{
      0};  // when a second's worth of newcomers may be accepted at once again
  mutable std::mutex mutex_;
  std::unordered_map<client_network, std::size_t> by_network_;  // no zeros
};

}  // namespace fairlead::net
