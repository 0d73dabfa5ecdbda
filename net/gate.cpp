#include "net/gate.hpp"

#include <cerrno>
#include <chrono>
#include <system_error>

#include <sys/socket.h>

#include "net/http_message.hpp"
#include "net/http_session.hpp"
#include "net/linger.hpp"
#include "net/tcp_socket.hpp"

namespace fairlead::net {
namespace {

constexpr std::chrono::milliseconds pause_without_descriptors{100};
// So many sockets past the limit are still told so; what comes on top of them is closed unheard.
constexpr std::size_t refusals_at_once = 256;
constexpr int accepts_at_once = 64;  // then others have their turn

const std::string& too_many_connections() {
  static const std::string response = [] {
    auto answer = plain_response(503, "too many connections");
    answer.headers.emplace_back("Retry-After", "5");
    return encode(answer, {});
  }();
  return response;
}

}  // namespace

gate::gate(tcp_acceptor acceptor, options o)
    : acceptor_(std::move(acceptor)), options_(std::move(o)), retry_([this] { accept(); }) {}

void gate::accept() {
  if (!acceptor_) return;
  acceptor_->async_wait(tcp_acceptor::wait_read, [self = shared_from_this()](const error_code& ec) {
    if (!self->acceptor_ || ec) return;
    self->options_.sockets->home().begin_turn();
    self->on_waiting();
  });
}

/// By accept4 itself: what Asio accepts lies in Asio's own epoll set.
void gate::on_waiting() {
  for (int i = 0; i < accepts_at_once; ++i) {
    asio::ip::tcp::endpoint peer;
    auto size = static_cast<socklen_t>(peer.capacity());
    const int accepted =
        ::accept4(acceptor_->native_handle(), peer.data(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted < 0 && (errno == ECONNABORTED || errno == EINTR)) continue;
    if (accepted < 0 && errno != EAGAIN) return pause(errno);
    if (accepted < 0) break;
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
  const auto& sockets = options_.sockets;
  tcp_socket socket(sockets->home().sockets(), descriptor);
  const auto open = sockets->open_sockets();
  const auto most = sockets->limits().max_connections;
  if (open < most)
    return serve_http(std::move(socket), peer, sockets, options_.service, options_.max_body);
  sockets->count(protocol::limit_hit::connections);
  if (open - most < refusals_at_once)
    respond_and_linger(std::move(socket), sockets, too_many_connections());
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
