#pragma once

#include <array>
#include <cerrno>
#include <cstdint>
#include <span>
#include <system_error>

#include <sys/epoll.h>

#include "bench/common/descriptor.hpp"

namespace fairlead::bench {

/// An epoll instance. Always edge-triggered: a socket is registered once for both directions and never touched again,
/// which spares both programs an `epoll_ctl` per state change and the kernel a second look at each ready socket.
class poller {
 public:
  static constexpr std::uint32_t both_ways = EPOLLIN | EPOLLOUT | EPOLLRDHUP;
  static constexpr std::uint32_t hang_up_only = EPOLLRDHUP;

  poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (!epoll_) fail("epoll_create1");
  }

  void add(int fd, epoll_data_t tag, std::uint32_t events = both_ways) {
    control(EPOLL_CTL_ADD, fd, tag, events);
  }
  void change(int fd, epoll_data_t tag, std::uint32_t events) {
    control(EPOLL_CTL_MOD, fd, tag, events);
  }

  /// Waits at most `timeout_ms` (-1: for ever). The span is valid until the next call.
  std::span<const epoll_event> wait(int timeout_ms) {
    const int count =
        ::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), timeout_ms);
    if (count < 0 && errno != EINTR) fail("epoll_wait");
    return {events_.data(), count < 0 ? 0U : static_cast<std::size_t>(count)};
  }

 private:
  [[noreturn]] static void fail(const char* call) {
    throw std::system_error(errno, std::generic_category(), call);
  }

  void control(int operation, int fd, epoll_data_t tag, std::uint32_t events) {
    epoll_event event{events | EPOLLET, tag};
    if (::epoll_ctl(epoll_.get(), operation, fd, &event) != 0) fail("epoll_ctl");
  }

  descriptor epoll_;
  std::array<epoll_event, 1024> events_{};
};

}  // namespace fairlead::bench
