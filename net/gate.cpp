#include "net/gate.hpp"

#include <cerrno>
#include <chrono>
#include <system_error>

#include <netinet/tcp.h>
#include <sys/socket.h>

#include "net/http_message.hpp"
#include "net/http_session.hpp"
#include "net/linger.hpp"
#include "net/tls_socket.hpp"

namespace fairlead::net {
namespace {

constexpr std::chrono::milliseconds pause_without_descriptors{100};
constexpr int accepts_at_once = 64;  // then others have their turn

std::string try_again(std::string reason) {
  auto answer = plain_response(503, std::move(reason));
  answer.headers.emplace_back("Retry-After", "5");
  return encode(answer, {});
}

}  // namespace

gate::gate(tcp_acceptor acceptor, options o)
    : acceptor_(std::move(acceptor)), options_(std::move(o)), retry_([this] { accept(); }) {
  set_user_timeout();
}

void gate::accept() {
  if (!acceptor_) return;
  acceptor_->async_wait(tcp_acceptor::wait_read, [self = shared_from_this()](const error_code& ec) {
    if (!self->acceptor_ || ec) return;
    self->options_.sockets->home().begin_turn();
    self->on_waiting();
  });
}

void gate::limits_changed() noexcept {
  set_user_timeout();
  options_.sockets->limits_changed();
}

/// Inherited by what is accepted: the kernel's own limit.
void gate::set_user_timeout() noexcept {
  using option = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>;
  const auto after = options_.sockets->limits().tcp_user_timeout;
  error_code ignored;  // there is none for a value that the options' check let through
  if (acceptor_) acceptor_->set_option(option(static_cast<int>(after.count())), ignored);
}

/// By accept4 itself: what Asio accepts lies in Asio's own epoll set.
void gate::on_waiting() {
  const auto& limits = options_.sockets->limits();
  auto& crowd = options_.sockets->crowd();
  auto& loop = options_.sockets->home();
  for (int i = 0; i < accepts_at_once; ++i) {
    if (const auto wait = crowd.wait(limits, loop.now()); wait > wait.zero()) {
      options_.sockets->count(protocol::limit_hit::accept_rate);
      return loop.schedule(retry_, loop.now() + wait);
    }
    asio::ip::tcp::endpoint peer;
    auto size = static_cast<socklen_t>(peer.capacity());
    const int accepted =
        ::accept4(acceptor_->native_handle(), peer.data(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted < 0 && (errno == ECONNABORTED || errno == EINTR)) continue;
    if (accepted < 0 && errno != EAGAIN) return pause(errno);
    if (accepted < 0) break;
    crowd.accepted(limits, loop.now());
    pausing_ = false;
    peer.resize(size);
    try {
      admit(accepted, peer);
    } catch (const std::exception& e) {
      options_.sockets->write_log(severity::error, "listener.socket_lost", {{"what", e.what()}});
    }
  }
  accept();
}

void gate::admit(int descriptor, const asio::ip::tcp::endpoint& peer) {
  static const std::string full = try_again("too many connections");
  static const std::string full_from_there = try_again("too many connections from your address");
  const auto& sockets = options_.sockets;
  const auto& limits = sockets->limits();
  const auto from = network_of(peer);
  tcp_socket bare(sockets->home().sockets(), descriptor);
  const auto open = sockets->crowd().total();
  const bool room = open < limits.max_connections;
  const auto open_from_there = sockets->crowd().from(from);
  if (room && open_from_there < limits.max_connections_per_address) {
    auto tls = options_.tls ? options_.tls->start(bare.place()) : nullptr;
    return serve_http({std::move(bare), std::move(tls)}, peer, sockets, options_.service,
                      options_.max_body);
  }
  sockets->count(room ? protocol::limit_hit::connections_per_address
                      : protocol::limit_hit::connections);
  // With TLS it would take a handshake to say so, which is what there is no room for.
  if (options_.tls) return;
  // Both bounds hold for what is told, too.
  if (open >= limits.max_connections + options_.refusals_at_once ||
      open_from_there >= limits.max_connections_per_address + options_.refusals_at_once)
    return;
  write_at_once(bare, room ? full_from_there : full);
  linger(std::move(bare), sockets, from);
}

/// Out of descriptors or memory: what waits stays in the kernel's queue until some are free again.
void gate::pause(int error) {
  const auto what = std::generic_category().message(error);
  if (!std::exchange(pausing_, true))
    options_.sockets->write_log(severity::warning, "listener.accept_failed",
                                {{"address", options_.address}, {"what", what}});
  auto& loop = options_.sockets->home();
  loop.schedule(retry_, loop.now() + pause_without_descriptors);
}

void gate::close() noexcept {
  retry_.cancel();
  acceptor_.reset();
  options_.sockets->wind_down();
}

void gate::drop() noexcept {
  close();
  options_.sockets->drop_all();
  options_.service.reset();
}

}  // namespace fairlead::net
