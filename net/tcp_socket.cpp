#include "net/tcp_socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace fairlead::net {
namespace {

error_code last_error() {
  if (errno == EAGAIN || errno == EWOULDBLOCK) return asio::error::would_block;
  return {errno, boost::system::system_category()};
}

constexpr std::size_t most_buffers = 64;

ssize_t send_gathered(int descriptor, std::span<const asio::const_buffer> from) {
  std::array<iovec, most_buffers> pieces;
  const std::size_t count = std::min(from.size(), pieces.size());
  for (std::size_t i = 0; i < count; ++i)
    pieces[i] = {const_cast<void*>(from[i].data()), from[i].size()};
  msghdr all{};
  all.msg_iov = pieces.data();
  all.msg_iovlen = count;
  return ::sendmsg(descriptor, &all, MSG_NOSIGNAL);
}

}  // namespace

std::size_t receive(watched& from, asio::mutable_buffer into, error_code& ec) noexcept {
  ec = {};
  if (into.size() == 0) return 0;
  ssize_t n = 0;
  do n = ::recv(from.descriptor(), into.data(), into.size(), 0);
  while (n < 0 && errno == EINTR);
  if (n > 0) {
    if (static_cast<std::size_t>(n) < into.size()) from.was_drained(false);
    return static_cast<std::size_t>(n);
  }
  ec = n == 0 ? error_code(asio::error::eof) : last_error();
  if (ec == asio::error::would_block) from.was_drained(true);
  return 0;
}

std::size_t transmit(watched& to, std::span<const asio::const_buffer> from,
                     error_code& ec) noexcept {
  ec = {};
  ssize_t n = 0;
  do {
    n = from.size() == 1 ? ::send(to.descriptor(), from[0].data(), from[0].size(), MSG_NOSIGNAL)
                         : send_gathered(to.descriptor(), from);
  } while (n < 0 && errno == EINTR);
  if (n < 0) ec = last_error();
  return n < 0 ? 0 : static_cast<std::size_t>(n);
}

bool tcp_socket::peer_has_left() const noexcept {
  pollfd looked{watched_->descriptor(), POLLRDHUP, 0};
  return ::poll(&looked, 1, 0) > 0;
}

void tcp_socket::shutdown_send(error_code& ec) noexcept {
  ec = ::shutdown(watched_->descriptor(), SHUT_WR) == 0 ? error_code() : last_error();
}

std::size_t tcp_socket::unacknowledged() const noexcept {
  int bytes = 0;
  return ::ioctl(watched_->descriptor(), SIOCOUTQ, &bytes) == 0 && bytes > 0
             ? static_cast<std::size_t>(bytes)
             : 0;
}

void tcp_socket::reset_on_close() noexcept {
  const ::linger at_once{1, 0};
  ::setsockopt(watched_->descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void tcp_socket::close() noexcept {
  if (!watched_) return;
  auto& by = watched_->home();
  by.close(std::move(watched_));
}

}  // namespace fairlead::net
