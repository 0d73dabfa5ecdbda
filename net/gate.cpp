#include "net/gate.hpp"

#include <chrono>

#include "net/http_message.hpp"
#include "net/http_session.hpp"
#include "net/linger.hpp"

namespace fairlead::net {
namespace {

constexpr std::chrono::milliseconds pause_without_descriptors{100};
// So many sockets past the limit are still told so; what comes on top of them is closed unheard.
constexpr std::size_t refusals_at_once = 256;

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
  acceptor_->async_accept(peer_,
                          [self = shared_from_this()](const error_code& ec, tcp_socket socket) {
                            if (!self->acceptor_) return;
                            self->options_.sockets->home().begin_turn();
                            self->on_accept(ec, std::move(socket));
                          });
}

void gate::on_accept(const error_code& ec, tcp_socket socket) {
  if (ec && ec != asio::error::connection_aborted && ec != asio::error::interrupted)
    return pause(ec);
  if (!ec) {
    pausing_ = false;
    try {
      admit(std::move(socket));
    } catch (const std::exception& e) {
      options_.sockets->write_log(severity::error, "listener.socket_lost", {{"what", e.what()}});
    }
  }
  accept();
}

void gate::admit(tcp_socket socket) {
  error_code failed;
  socket.non_blocking(true, failed);
  if (failed) return;
  const auto& sockets = options_.sockets;
  const auto open = sockets->open_sockets();
  const auto most = sockets->limits().max_connections;
  if (open < most)
    return serve_http(std::move(socket), peer_, sockets, options_.service, options_.max_body);
  if (open - most < refusals_at_once)
    respond_and_linger(std::move(socket), sockets, too_many_connections());
}

/// Out of descriptors or memory: what waits stays in the kernel's queue until some are free again.
void gate::pause(const error_code& ec) {
  const auto what = ec.message();
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
