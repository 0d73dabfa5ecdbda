#include <cerrno>
#include <future>
#include <mutex>
#include <system_error>

#include <sys/socket.h>

#include "net/address.hpp"
#include "net/gate.hpp"
#include "net/http.hpp"

namespace fairlead::net {
namespace {

using asio::ip::tcp;
using reuse_port = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

constexpr int backlog = 4096;

/// Holds the port while the loops bind it, and finds out whether somebody else listens there: SO_REUSEPORT alone would
/// share it with any other process of the same user.
class probe {
 public:
  explicit probe(tcp::endpoint at) : socket_(context_, at.protocol()) {
    socket_.set_option(tcp::acceptor::reuse_address(true));
    socket_.bind(at);
  }
  [[nodiscard]] tcp::endpoint endpoint() const { return socket_.local_endpoint(); }

 private:
  asio::io_context context_;
  tcp::acceptor socket_;
};

tcp_acceptor listen_on(loop& on, const tcp::endpoint& at) {
  tcp_acceptor acceptor(on.context(), at.protocol());
  acceptor.set_option(tcp::acceptor::reuse_address(true));
  acceptor.set_option(reuse_port(true));
  acceptor.set_option(tcp::no_delay(true));  // inherited by what is accepted
  acceptor.non_blocking(true);
  acceptor.bind(at);
  acceptor.listen(backlog);
  return acceptor;
}

class listening final : public listener {
 public:
  listening(listener_options options, std::vector<std::shared_ptr<loop>> loops,
            std::shared_ptr<http_service> service)
      : loops_(std::move(loops)), limits_(std::make_shared<protocol::live_limits>(options.limits)) {
    if (!options.hits) options.hits = std::make_shared<protocol::limit_hits>();
    if (!options.compressed) options.compressed = std::make_shared<deflate_counts>();
    const auto wanted = parse_address(options.address);
    try {
      const probe held(wanted);
      const auto at = held.endpoint();
      address_ = to_string(at);
      for (const auto& on : loops_) {
        auto sockets =
            std::make_shared<socket_group>(on, limits_, options.hits, options.logger, crowd_,
                                           options.compression, options.compressed);
        gates_.push_back(std::make_shared<gate>(
            listen_on(*on, at), gate::options{std::move(sockets), service, options.max_body,
                                              address_, options.refusals_at_once, options.tls}));
      }
    } catch (const boost::system::system_error& e) {
      throw std::system_error(e.code(), "cannot listen on " + options.address);
    }
  }

  void accept() override {
    for (std::size_t i = 0; i < loops_.size(); ++i)
      loops_[i]->post([g = gates_[i]] { g->accept(); });
  }
  std::string address() const override { return address_; }
  void stop_accepting() override { wait_for(on_every_loop(&gate::close)); }
  void begin_stop_accepting() override { on_every_loop(&gate::close); }
  void stop() override { wait_for(on_every_loop(&gate::drop)); }
  void set_limits(const fairlead::limits& bounds) override {
    limits_->set(bounds);
    on_every_loop(&gate::limits_changed);
  }
  std::size_t sockets() const noexcept override { return crowd_->total(); }

 private:
  using futures = std::vector<std::future<void>>;
  static void wait_for(const futures& all) {
    for (const auto& done : all) done.wait();
  }
  futures on_every_loop(void (gate::*act)() noexcept) {
    futures all;
    for (std::size_t i = 0; i < loops_.size(); ++i) {
      auto done = std::make_shared<std::promise<void>>();
      // A loop that has stopped has destroyed what was on it.
      const bool posted = loops_[i]->post([g = gates_[i], act, done] {
        (*g.*act)();
        done->set_value();
      });
      if (posted) all.push_back(done->get_future());
    }
    return all;
  }

  const std::vector<std::shared_ptr<loop>> loops_;
  const std::shared_ptr<protocol::live_limits> limits_;
  const std::shared_ptr<crowd> crowd_ = std::make_shared<crowd>();
  std::vector<std::shared_ptr<gate>> gates_;
  std::string address_;
};

}  // namespace

std::unique_ptr<listener> listener::start(listener_options options,
                                          std::vector<std::shared_ptr<loop>> loops,
                                          std::shared_ptr<http_service> service) {
  return std::make_unique<listening>(std::move(options), std::move(loops), std::move(service));
}

}  // namespace fairlead::net
