#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <sys/socket.h>

#include "net/http_session.hpp"
#include "net/link.hpp"
#include "net/loop.hpp"
#include "net/poller.hpp"
#include "net/socket_group.hpp"
#include "tests/net/test_server.hpp"

namespace fairlead::test {

/// A loop with real sockets and a clock of its own, turned by the test's thread: time passes only when it says so.
class hand_turned_loop final : public net::loop {
 public:
  bool post(task t) override {
    boost::asio::post(context_, std::move(t));
    return true;
  }
  bool inside() const noexcept override { return true; }
  protocol::time_point now() const noexcept override { return now_; }
  protocol::time_point read_clock() const noexcept override { return now_; }
  void schedule(protocol::timer_base& t, protocol::time_point when) override {
    wheel_.schedule(t, when);
  }
  void stop() override {}
  std::size_t index() const noexcept override { return 0; }
  boost::asio::io_context& context() noexcept override { return context_; }
  net::poller& sockets() noexcept override { return sockets_; }
  void begin_turn() noexcept override {}

  /// Runs what is ready, until nothing is.
  void run() {
    while (context_.poll() > 0) continue;
  }
  /// Lets time pass in steps, running what becomes due and ready on the way.
  void advance(std::chrono::milliseconds by) {
    for (const auto end = now_ + by; now_ < end; run()) {
      now_ = std::min(now_ + protocol::timer_wheel::tick, end);
      wheel_.advance(now_);
    }
  }
  [[nodiscard]] std::size_t timers() const noexcept { return wheel_.size(); }

 private:
  boost::asio::io_context context_{1};
  protocol::time_point now_{std::chrono::hours{1}};
  protocol::timer_wheel wheel_{now_};
  net::poller sockets_{context_, [] {}};
};

/// An HTTP session on such a loop, and the bytes of its client, over a pair of connected sockets.
class hand_turned_session {
 public:
  /// `room`: of what the server sends, so much fits before the client reads (SO_SNDBUF); 0: the kernel's default.
  explicit hand_turned_session(std::shared_ptr<net::http_service> service, int room = 0,
                               const limits& bounds = {}) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
      throw std::runtime_error("socketpair");
    if (room > 0) ::setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    client_ = pair[1];
    group_ =
        std::make_shared<net::socket_group>(loop_, std::make_shared<protocol::live_limits>(bounds),
                                            hits, nullptr, std::make_shared<net::crowd>());
    net::serve_http({net::tcp_socket(loop_->sockets(), pair[0]), nullptr}, {}, group_,
                    std::move(service), 1024);
    loop_->run();
  }
  ~hand_turned_session() {
    group_->drop_all();
    loop_->run();
    ::close(client_);
  }
  hand_turned_session(const hand_turned_session&) = delete;
  hand_turned_session& operator=(const hand_turned_session&) = delete;

  /// The server has read them when this returns.
  void sends(std::string_view bytes) {
    (void)::send(client_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    loop_->run();
  }
  std::string receive() {
    char buffer[4096];
    const auto n = ::recv(client_, buffer, sizeof buffer, 0);
    return n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : std::string();
  }
  /// Reads until there is nothing more, also of what the server could not send before.
  std::string receive_all() {
    std::string all;
    for (auto some = receive(); !some.empty(); some = receive()) {
      all += some;
      loop_->run();
    }
    return all;
  }
  void advance(std::chrono::milliseconds by) { loop_->advance(by); }
  /// Whether the server has said its last, and the client has read it.
  [[nodiscard]] bool ended() const {
    char next = 0;
    return ::recv(client_, &next, 1, MSG_PEEK) == 0;
  }
  [[nodiscard]] std::uint64_t count(protocol::limit_hit what) const { return hits->count(what); }

  std::shared_ptr<protocol::limit_hits> hits = std::make_shared<protocol::limit_hits>();

 private:
  std::shared_ptr<hand_turned_loop> loop_ = std::make_shared<hand_turned_loop>();
  std::shared_ptr<net::socket_group> group_;
  int client_ = -1;
};

/// One WebSocket on such a loop, and the bytes of its peer, over a pair of connected sockets.
class hand_turned_link {
 public:
  explicit hand_turned_link(const limits& bounds = {},
                            const std::optional<net::deflate_agreement>& deflate = {}) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
      throw std::runtime_error("socketpair");
    peer_ = pair[1];
    group_ =
        std::make_shared<net::socket_group>(loop, std::make_shared<protocol::live_limits>(bounds),
                                            hits, nullptr, std::make_shared<net::crowd>());
    line->link =
        net::make_link({net::tcp_socket(loop->sockets(), pair[0]), nullptr}, group_, 0,
                       {.key = "dGhlIHNhbXBsZSBub25jZQ==", .subprotocol = {}}, {}, deflate);
    line->link->open(std::make_unique<recording_observer>(line));
    loop->run();
    receive();  // the 101
  }
  ~hand_turned_link() {
    group_->drop_all();
    line->link.reset();
    loop->run();
    ::close(peer_);
  }
  hand_turned_link(const hand_turned_link&) = delete;
  hand_turned_link& operator=(const hand_turned_link&) = delete;

  /// As many of these bytes as fit.
  std::size_t peer_sends(std::string_view bytes) {
    const auto n = ::send(peer_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    loop->run();
    return n < 0 ? 0 : static_cast<std::size_t>(n);
  }
  /// The peer says no more.
  void peer_leaves() {
    ::shutdown(peer_, SHUT_WR);
    loop->run();
  }
  /// What the peer has got since it last looked.
  std::string receive() {
    std::string all;
    char buffer[65536];
    for (ssize_t n; (n = ::recv(peer_, buffer, sizeof buffer, 0)) > 0;)
      all.append(buffer, static_cast<std::size_t>(n));
    return all;
  }
  [[nodiscard]] std::uint64_t count(protocol::limit_hit what) const { return hits->count(what); }

  std::shared_ptr<hand_turned_loop> loop = std::make_shared<hand_turned_loop>();
  std::shared_ptr<protocol::limit_hits> hits = std::make_shared<protocol::limit_hits>();
  std::shared_ptr<test::line> line = std::make_shared<test::line>();

 private:
  int peer_ = -1;
  std::shared_ptr<net::socket_group> group_;
};

}  // namespace fairlead::test
