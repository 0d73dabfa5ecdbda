#include "actors/session_gateway.hpp"

#include <future>
#include <set>
#include <stdexcept>
#include <utility>

#include <caf/actor_registry.hpp>
#include <caf/io/basp_broker.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <caf/io/network/interfaces.hpp>
#include <caf/openssl/manager.hpp>
#include <caf/openssl/session.hpp>

#include "actors/caf.hpp"
#include "actors/gateway_actor.hpp"
#include "actors/node_door.hpp"

namespace fairlead::actors {
namespace {

struct gateway_config : caf::actor_system_config {
  explicit gateway_config(const gateway_options& o) {
    load<caf::io::middleman>();
    remote::add_message_types(*this);
    set("scheduler.max-threads", 1U);
    set("scheduler.policy", caf::atom("sharing"));
    set("middleman.enable-automatic-connections", false);
    // What is read is handed on by who read it, at once: so it is counted before more is read.
    set("middleman.workers", std::size_t{0});
    if (o.certificate.empty()) return;
    openssl_certificate = o.certificate;
    openssl_key = o.key;
    openssl_cafile = o.ca;
    load<caf::openssl::manager>();
  }
};

}  // namespace

class session_gateway::impl {
 public:
  explicit impl(gateway_options o)
      : options(std::move(o)),
        config(options),
        system(config),
        gateway(system.spawn<gateway_actor>(*options.sessions, slot)),
        door(std::make_shared<node_door>(system, options, gateway.id())) {
    // CAF lets every peer reach these two by name. The firewall does not; this is the second lock.
    system.registry().erase(caf::atom("SpawnServ"));
    system.registry().erase(caf::atom("ConfigServ"));
    const auto raw = caf::actor_cast<caf::strong_actor_ptr>(gateway);
    static_cast<gateway_actor*>(raw->get())->stand_at(door);
    caf::anon_send(gateway, look_around{});
    slot->set(gateway);
    try {
      listen(raw);
    } catch (...) {
      close();
      throw;
    }
  }
  ~impl() { close(); }
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  void listen(const caf::strong_actor_ptr& published) {
    using namespace caf::io;
    // Reads the files: what is wrong with them is told now, and not to the first peer.
    if (!options.certificate.empty()) check_files();
    const auto where = options.host == "localhost" ? std::string{"127.0.0.1"} : options.host;
    const auto socket = network::new_tcp_acceptor_impl(options.port, where.c_str(), true);
    if (!socket)
      throw std::runtime_error{"cannot listen for actors on " + options.host + ":" +
                               std::to_string(options.port) + ": " + system.render(socket.error())};
    port = *network::local_port_of_fd(*socket);
    const auto broker = system.middleman().named_broker<basp_broker>(caf::atom("BASP"));
    caf::anon_send(broker, caf::publish_atom::value, make_doorman(system, *socket, door), port,
                   published, std::set<std::string>{});
  }

  void check_files() {
    try {
      if (caf::openssl::session{system}.init()) return;
    } catch (const std::exception& e) {
      throw std::runtime_error{"TLS for actors: " + std::string{e.what()} + " (" +
                               options.certificate + ", " + options.key + ", " + options.ca + ")"};
    }
    throw std::runtime_error{"TLS for actors cannot begin"};
  }

  void stop_listening() {
    if (port != 0 && !stopped.exchange(true)) static_cast<void>(system.middleman().close(port));
  }

  void close() {
    stop_listening();
    if (!gateway) return;
    auto done = std::make_shared<std::promise<void>>();
    auto over = done->get_future();
    slot->tell(close_gateway{[done] { done->set_value(); }});
    over.wait();
    gateway = nullptr;
  }

  const gateway_options options;
  const std::shared_ptr<gateway_slot> slot = std::make_shared<gateway_slot>();
  gateway_config config;
  caf::actor_system system;
  caf::actor gateway;
  const std::shared_ptr<node_door> door;
  std::uint16_t port = 0;
  std::atomic<bool> stopped{false};
};

session_gateway::session_gateway(gateway_options o) : impl_(std::make_unique<impl>(std::move(o))) {}
session_gateway::~session_gateway() = default;

std::string session_gateway::address() const {
  const auto& host = impl_->options.host;
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(impl_->port);
}

gateway_counts session_gateway::counts() const {
  const auto& d = *impl_->door;
  return {d.peers(), d.accepted, d.refused, d.cut, d.swallowed, d.requests};
}

void session_gateway::stop_listening() { impl_->stop_listening(); }

}  // namespace fairlead::actors
