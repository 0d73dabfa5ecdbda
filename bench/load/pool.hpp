#pragma once

#include <string>
#include <vector>

#include <fmt/format.h>

#include "bench/common/poller.hpp"
#include "bench/load/client.hpp"
#include "bench/load/options.hpp"
#include "bench/load/process.hpp"

namespace fairlead::bench {

/// All client connections of a run and the one epoll loop that serves them.
class client_pool {
 public:
  explicit client_pool(const target_options& target);

  /// Opens so many more connections, a bounded batch at a time, and returns when all of them are open. Throws
  /// load_error when one is refused or the time is over.
  void open(std::size_t count, client::role role = client::role::reader);

  /// Serves what is ready, waiting at most `wait_ms` for it, and calls `on_message(client_index, payload)` for each
  /// message. Throws load_error when a reading connection was closed or the run's time is over.
  template <class OnMessage>
  void pump(int wait_ms, OnMessage&& on_message);

  client& operator[](std::size_t index) { return clients_[index]; }
  [[nodiscard]] std::size_t size() const noexcept { return clients_.size(); }

  /// When the bytes now being delivered were read, in now_ns() time: one look at the clock per read, not per message.
  [[nodiscard]] std::uint64_t received_at() noexcept {
    return stamp_ != 0 ? stamp_ : stamp_ = now_ns();
  }

  /// Silent readers that the server gave up on.
  [[nodiscard]] std::size_t silent_lost() const noexcept { return silent_lost_; }

  /// The run's time is over.
  [[nodiscard]] bool expired() const noexcept {
    return std::chrono::steady_clock::now() >= deadline_;
  }

 private:
  using clock = std::chrono::steady_clock;

  void dial(client::role role);
  void settle(std::size_t index);
  void check(std::size_t index);
  void check_time(const char* doing) const;

  target_options target_;
  clock::time_point deadline_;
  poller poller_;
  std::vector<client> clients_;
  std::vector<char> scratch_;
  std::size_t open_ = 0;
  std::size_t silent_lost_ = 0;
  std::uint64_t stamp_ = 0;
};

template <class OnMessage>
void client_pool::pump(int wait_ms, OnMessage&& on_message) {
  for (const auto& event : poller_.wait(wait_ms)) {
    const auto index = static_cast<std::size_t>(event.data.u64);
    auto& peer = clients_[index];
    const bool hung_up = (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (peer.is_silent()) {
      if (hung_up) peer.abandon("the server ended the connection");
    } else {
      peer.flush();
      stamp_ = 0;
      if (hung_up || (event.events & EPOLLIN) != 0)
        peer.receive(scratch_, hung_up,
                     [&](std::string_view payload) { on_message(index, payload); });
    }
    if (peer.current() == client::phase::closed) check(index);
  }
  check_time("running");
}

}  // namespace fairlead::bench
