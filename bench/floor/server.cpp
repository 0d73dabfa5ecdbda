#include "bench/floor/server.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "bench/common/frame.hpp"
#include "bench/common/handshake.hpp"

namespace fairlead::bench {

namespace {

constexpr std::size_t scratch_size = 1U << 18U;
constexpr std::size_t max_request = 8192;
// A reader this far behind is dropped, so that a client that never reads does not grow the process for ever.
constexpr std::size_t max_backlog = 16U << 20U;

[[noreturn]] void fail(const char* call) {
  throw std::system_error(errno, std::generic_category(), call);
}

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

floor_server::floor_server(std::uint16_t port, floor_mode mode)
    : mode_(mode),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
      scratch_(scratch_size) {
  if (!listener_) fail("socket");
  const int on = 1;
  ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fail("bind");
  if (::listen(listener_.get(), 4096) != 0) fail("listen");
  poller_.add(listener_.get(), {.ptr = nullptr}, EPOLLIN);
}

std::uint16_t floor_server::port() const {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    fail("getsockname");
  return ntohs(address.sin_port);
}

void floor_server::run() {
  for (;;) {
    for (const auto& event : poller_.wait(-1)) {
      if (event.data.ptr == nullptr)
        accept_all();
      else
        on_event(*static_cast<connection*>(event.data.ptr), event.events);
    }
    if (mode_ == floor_mode::gather && !frame_.empty()) broadcast();
    if (!dead_.empty()) reap();
  }
}

void floor_server::accept_all() {
  for (;;) {
    descriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
      if (errno == ECONNABORTED || errno == EINTR) continue;
      if (would_block()) return;
      fail("accept4");  // out of descriptors: a benchmark must say so, not limp
    }
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto peer = std::make_unique<connection>();
    peer->slot = all_.size();
    poller_.add(socket.get(), {.ptr = peer.get()});
    peer->socket = std::move(socket);
    all_.push_back(std::move(peer));
  }
}

void floor_server::on_event(connection& peer, std::uint32_t events) {
  if (peer.dead) return;
  if ((events & EPOLLOUT) != 0 && !peer.out.empty()) flush(peer);
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
    read(peer, (events & ~std::uint32_t{EPOLLIN | EPOLLOUT}) != 0);
}

void floor_server::read(connection& peer, bool to_the_end) {
  while (!peer.dead) {
    const std::size_t kept = peer.in.size();
    if (scratch_.size() < kept + scratch_size) scratch_.resize(kept + scratch_size);
    std::memcpy(scratch_.data(), peer.in.data(), kept);
    const std::size_t room = scratch_.size() - kept;
    const auto count = ::recv(peer.socket.get(), scratch_.data() + kept, room, 0);
    if (count <= 0) {
      if (count == 0 || !would_block()) kill(peer);
      return;
    }
    const std::size_t size = kept + static_cast<std::size_t>(count);
    const std::size_t used = consume(peer, scratch_.data(), size);
    if (kept != 0 || used != size) peer.in.assign(scratch_.data() + used, size - used);
    if (static_cast<std::size_t>(count) < room && !to_the_end)  // drained; new bytes are a new edge
      return;
  }
}

std::size_t floor_server::consume(connection& peer, char* bytes, std::size_t size) {
  std::size_t used = peer.open ? 0 : upgrade(peer, {bytes, size});
  frame_header header;
  while (peer.open && !peer.dead) {
    const auto outcome = parse_header({bytes + used, size - used}, header);
    if (outcome == parsed::malformed ||
        (outcome == parsed::complete && !(header.masked && header.fin))) {
      kill(peer);
      break;
    }
    if (outcome == parsed::incomplete || size - used < header.size + header.payload_size) break;
    char* const payload = bytes + used + header.size;
    const std::string_view view(payload, header.payload_size);
    apply_mask(payload, view.size(), header.mask);
    used += header.size + view.size();
    if (header.code == opcode::text || header.code == opcode::binary)
      on_message(peer, view);
    else if (header.code == opcode::close)
      on_close(peer, view);
  }
  return used;
}

std::size_t floor_server::upgrade(connection& peer, std::string_view bytes) {
  const auto end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (bytes.size() > max_request) kill(peer);
    return 0;
  }
  const auto key = header_field(bytes.substr(0, end), "Sec-WebSocket-Key");
  if (!key) {
    send(peer, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    kill(peer);
    return bytes.size();
  }
  send(peer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
             "Upgrade\r\nSec-WebSocket-Accept: " +
                 accept_key(*key) + "\r\n\r\n");
  if (!peer.dead) {
    peer.open = true;
    open_.push_back(&peer);
  }
  return end + 4;
}

void floor_server::on_message(connection& sender, std::string_view payload) {
  append_server_frame(frame_, opcode::text, payload);
  if (mode_ == floor_mode::broadcast) {
    broadcast();
  } else if (mode_ == floor_mode::echo) {
    send(sender, frame_);
    frame_.clear();
  }
}

void floor_server::broadcast() {
  for (connection* const peer : open_) send(*peer, frame_);
  frame_.clear();
}

void floor_server::on_close(connection& peer, std::string_view payload) {
  std::string answer;
  append_server_frame(answer, opcode::close, payload.substr(0, 2));
  send(peer, answer);
  kill(peer);
}

void floor_server::send(connection& peer, std::string_view bytes) {
  if (peer.dead) return;
  if (!peer.out.empty()) {
    keep(peer, bytes);
    return;
  }
  const auto count = ::send(peer.socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (count == static_cast<ssize_t>(bytes.size())) return;
  if (count < 0 && !would_block()) {
    kill(peer);
    return;
  }
  keep(peer, bytes.substr(count < 0 ? 0U : static_cast<std::size_t>(count)));
}

void floor_server::keep(connection& peer, std::string_view rest) {
  if (peer.out.size() + rest.size() > max_backlog)
    kill(peer);
  else
    peer.out.append(rest);
}

void floor_server::flush(connection& peer) {
  const auto count = ::send(peer.socket.get(), peer.out.data(), peer.out.size(), MSG_NOSIGNAL);
  if (count > 0)
    peer.out.erase(0, static_cast<std::size_t>(count));
  else if (count < 0 && !would_block())
    kill(peer);
}

void floor_server::kill(connection& peer) {
  if (peer.dead) return;
  peer.dead = true;
  dead_.push_back(&peer);
}

void floor_server::reap() {
  std::erase_if(open_, [](const connection* peer) { return peer->dead; });
  for (connection* const peer : dead_) {
    const auto slot = peer->slot;
    std::swap(all_[slot], all_.back());
    all_[slot]->slot = slot;
    all_.pop_back();
  }
  dead_.clear();
}

}  // namespace fairlead::bench
