#include "net/linger.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>

#include <boost/asio/buffer.hpp>

namespace fairlead::net {
namespace {

constexpr std::chrono::milliseconds longest{2'000};
constexpr int reads_per_turn = 16;  // then others have their turn

class lingering final : public socket_owner, public std::enable_shared_from_this<lingering> {
 public:
  explicit lingering(tcp_socket socket)
      : socket_(std::move(socket)), deadline_([this] { finish(); }) {}

  void start(const std::shared_ptr<socket_group>& group, client_network from) {
    join(group, from);
    error_code failed;
    socket_->shutdown_send(failed);
    if (failed) return finish();
    auto& loop = group->home();
    loop.schedule(deadline_, loop.now() + std::min(longest, group->limits().close_timeout));
    discard();
  }

  void drop() noexcept override { finish(); }

 private:
  void discard() {
    error_code failed;
    std::array<char, 16 * 1024> ignored;
    for (int reads = 0; reads < reads_per_turn && !failed; ++reads)
      socket_->read_some(asio::buffer(ignored), failed);
    if (failed && failed != asio::error::would_block) return finish();
    socket_->async_wait_readable([self = shared_from_this()](const error_code& ec) {
      if (self->socket_) ec ? self->finish() : self->discard();
    });
  }

  void finish() noexcept {
    deadline_.cancel();
    socket_.reset();
    leave();
  }

  std::optional<tcp_socket> socket_;
  protocol::timer deadline_;
};

}  // namespace

void linger(tcp_socket socket, const std::shared_ptr<socket_group>& group, client_network from) {
  std::make_shared<lingering>(std::move(socket))->start(group, from);
}

}  // namespace fairlead::net
