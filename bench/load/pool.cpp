#include "bench/load/pool.hpp"

#include "bench/common/handshake.hpp"

namespace fairlead::bench {

namespace {

constexpr std::size_t scratch_size = std::size_t{2}
                                     << 20U;  // holds the largest frame, and many small ones

epoll_data_t tag(std::size_t index) {
  epoll_data_t data{};
  data.u64 = index;
  return data;
}

}  // namespace

client_pool::client_pool(const target_options& target)
    : target_(target), deadline_(clock::now() + target.timeout), scratch_(scratch_size) {}

void client_pool::open(std::size_t count, client::role role) {
  constexpr std::size_t spare = 32;  // the standard streams, epoll, /proc
  if (const auto limit = raise_descriptor_limit(); clients_.size() + count + spare > limit)
    throw load_error(
        fmt::format("{} connections need more than the {} descriptors that `ulimit -n` allows",
                    clients_.size() + count, limit));
  const std::size_t goal = clients_.size() + count;
  clients_.reserve(goal);
  while (open_ < goal) {
    while (clients_.size() < goal && clients_.size() - open_ < target_.batch) dial(role);
    for (const auto& event : poller_.wait(100)) settle(static_cast<std::size_t>(event.data.u64));
    check_time("opening connections");
  }
}

void client_pool::dial(client::role role) {
  const auto index = clients_.size();
  auto& peer = clients_.emplace_back(target_.port, index, role);
  if (peer.current() == client::phase::closed) check(index);
  poller_.add(peer.fd(), tag(index));
}

void client_pool::settle(std::size_t index) {
  auto& peer = clients_[index];
  const bool was_open = peer.current() == client::phase::open;
  peer.flush();
  peer.progress(target_.path);
  const bool is_open = peer.current() == client::phase::open;
  if (is_open && !was_open) {
    ++open_;
    if (peer.is_silent()) poller_.change(peer.fd(), tag(index), poller::hang_up_only);
  }
  if (is_open &&
      !peer.is_silent())  // what came with the answer, or while others are still being opened
    peer.receive(scratch_, true, [](std::string_view) {});
  if (peer.current() == client::phase::closed) check(index);
}

void client_pool::check(std::size_t index) {
  auto& peer = clients_[index];
  if (!peer.is_silent())
    throw load_error(fmt::format("connection {} of {}: {}", index, clients_.size(), peer.reason()));
  ++silent_lost_;
}

void client_pool::check_time(const char* doing) const {
  if (expired())
    throw load_error(fmt::format("timed out after {} s while {} ({} of {} connections were open)",
                                 target_.timeout.count(), doing, open_, clients_.size()));
}

}  // namespace fairlead::bench
