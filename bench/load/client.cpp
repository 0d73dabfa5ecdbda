#include "bench/load/client.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "bench/common/handshake.hpp"

namespace fairlead::bench {

namespace {

// A TCP connection is told apart by its two addresses and ports: several source addresses keep runs that follow each
// other from meeting in TIME_WAIT, and leave ephemeral ports to spare.
constexpr std::size_t source_addresses = 4;
constexpr std::size_t max_answer = 16'384;

[[noreturn]] void fail(const char* call) {
  throw std::system_error(errno, std::generic_category(), call);
}

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

sockaddr_in loopback(std::uint16_t port, std::size_t host) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + static_cast<std::uint32_t>(host));
  return address;
}

void set_option(int fd, int level, int name, int value) {
  ::setsockopt(fd, level, name, &value, sizeof value);
}

std::string handshake_key(std::size_t index) {
  std::array<char, 16> nonce{"fairlead load !"};
  std::memcpy(nonce.data(), &index, sizeof index);
  return base64({nonce.data(), nonce.size()});
}

}  // namespace

client::client(std::uint16_t port, std::size_t index, role role)
    : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
      role_(role),
      key_(handshake_key(index)) {
  if (!socket_) fail("socket");
  set_option(fd(), IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  // Closing resets: thousands of closed clients would otherwise hold their ports for a minute.
  const linger reset{1, 0};
  ::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  if (is_silent())  // the smallest window there is, so that the server soon feels that nobody reads
    set_option(fd(), SOL_SOCKET, SO_RCVBUF, 1);
  const auto source = loopback(0, index % source_addresses);
  if (::bind(fd(), reinterpret_cast<const sockaddr*>(&source), sizeof source) != 0) fail("bind");
  const auto server = loopback(port, 0);
  if (::connect(fd(), reinterpret_cast<const sockaddr*>(&server), sizeof server) != 0 &&
      errno != EINPROGRESS)
    close(fmt::format("connect: {}", std::strerror(errno)));
}

void client::progress(std::string_view path) {
  if (phase_ == phase::connecting) request_upgrade(path);
  if (phase_ == phase::upgrading) read_answer();
}

void client::request_upgrade(std::string_view path) {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    close(fmt::format("connect: {}", std::strerror(error)));
    return;
  }
  phase_ = phase::upgrading;
  send(fmt::format(
      "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\n\r\n",
      path, key_));
}

void client::read_answer() {
  std::array<char, 1024> bytes{};
  while (phase_ == phase::upgrading) {
    const std::size_t count = receive_some(bytes);
    if (count == 0) return;
    inbox_.append(bytes.data(), count);
    const auto end = inbox_.find("\r\n\r\n");
    if (end == std::string::npos) {
      if (inbox_.size() > max_answer) close("the answer to the upgrade has no end");
      continue;
    }
    const auto head = std::string_view(inbox_).substr(0, end);
    if (!head.starts_with("HTTP/1.1 101 ")) {
      close(fmt::format("the upgrade was refused: {}", head.substr(0, head.find("\r\n"))));
      return;
    }
    if (header_field(head, "Sec-WebSocket-Accept") != accept_key(key_)) {
      close("the server's Sec-WebSocket-Accept does not match the key");
      return;
    }
    inbox_.erase(0, end + 4);
    inbox_.shrink_to_fit();
    phase_ = phase::open;
  }
}

void client::send(std::string_view frame) {
  if (phase_ == phase::closed) return;
  outbox_.append(frame.substr(outbox_.empty() ? frame.size() : 0));  // behind what already waits
  if (!outbox_.empty()) return;
  const auto count = ::send(fd(), frame.data(), frame.size(), MSG_NOSIGNAL);
  if (count == static_cast<ssize_t>(frame.size())) return;
  if (count < 0 && !would_block())
    close(fmt::format("send: {}", std::strerror(errno)));
  else
    outbox_.assign(frame.substr(count < 0 ? 0U : static_cast<std::size_t>(count)));
}

void client::flush() {
  if (outbox_.empty() || phase_ == phase::closed) return;
  const auto count = ::send(fd(), outbox_.data(), outbox_.size(), MSG_NOSIGNAL);
  if (count > 0)
    outbox_.erase(0, static_cast<std::size_t>(count));
  else if (count < 0 && !would_block())
    close(fmt::format("send: {}", std::strerror(errno)));
}

std::size_t client::receive_some(std::span<char> room) {
  const auto count = ::recv(fd(), room.data(), room.size(), 0);
  if (count > 0) return static_cast<std::size_t>(count);
  if (count == 0)
    close("the server ended the connection");
  else if (!would_block())
    close(fmt::format("receive: {}", std::strerror(errno)));
  return 0;
}

void client::on_control(opcode code, std::string_view payload) {
  if (code == opcode::ping) {
    std::string pong;
    append_client_frame(pong, opcode::pong, payload, fixed_mask);
    send(pong);
  } else if (code == opcode::close) {
    const unsigned status =
        payload.size() < 2 ? 1005U
                           : static_cast<unsigned>(static_cast<unsigned char>(payload[0])) << 8U |
                                 static_cast<unsigned char>(payload[1]);
    close(fmt::format("the server closed with {} {}", status,
                      payload.size() > 2 ? payload.substr(2) : "(no reason)"));
  } else if (code != opcode::pong) {
    close(fmt::format("the server sent a frame with opcode {}", static_cast<unsigned>(code)));
  }
}

void client::close(std::string reason) {
  if (phase_ == phase::closed) return;
  phase_ = phase::closed;
  reason_ = std::move(reason);
  socket_.reset();
}

}  // namespace fairlead::bench
