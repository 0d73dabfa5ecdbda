#include "net/crowd.hpp"

#include <algorithm>
#include <chrono>

namespace fairlead::net {
namespace {

using std::chrono::seconds;

constexpr std::uint64_t is_ipv4 = std::uint64_t{1}
                                  << 32;  // no /64 network begins so: 0::/8 is reserved

crowd::duration apart(const fairlead::limits& l) noexcept {
  return crowd::duration{seconds{1}} / l.max_accepts_per_second;
}

}  // namespace

client_network network_of(const asio::ip::tcp::endpoint& peer) noexcept {
  const auto address = peer.address();
  if (address.is_v4()) return is_ipv4 | address.to_v4().to_uint();
  const auto bytes = address.to_v6().to_bytes();
  if (address.to_v6().is_v4_mapped())
    return is_ipv4 | std::uint64_t{bytes[12]} << 24U | std::uint64_t{bytes[13]} << 16U |
           std::uint64_t{bytes[14]} << 8U | bytes[15];
  client_network network = 0;
  for (int i = 0; i < 8; ++i) network = network << 8U | bytes[static_cast<std::size_t>(i)];
  return network;
}

void crowd::enter(client_network from) {
  const std::lock_guard lock(mutex_);
  ++by_network_[from];
  ++total_;
}

void crowd::leave(client_network from) noexcept {
  const std::lock_guard lock(mutex_);
  --total_;
  const auto found = by_network_.find(from);
  if (--found->second == 0) by_network_.erase(found);
}

std::size_t crowd::from(client_network which) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_network_.find(which);
  return found == by_network_.end() ? 0 : found->second;
}

crowd::duration crowd::wait(const fairlead::limits& l, protocol::time_point now) const noexcept {
  const duration ahead{calm_at_.load(std::memory_order_relaxed) - now.time_since_epoch().count()};
  return std::max(ahead + apart(l) - seconds{1}, duration::zero());
}

void crowd::accepted(const fairlead::limits& l, protocol::time_point now) noexcept {
  auto seen = calm_at_.load(std::memory_order_relaxed);
  duration::rep next = 0;
  do next = std::max(seen, now.time_since_epoch().count()) + apart(l).count();
  while (!calm_at_.compare_exchange_weak(seen, next, std::memory_order_relaxed));
}

}  // namespace fairlead::net
