#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <fairlead/server.hpp>

#include "actors/backbone.hpp"
#include "actors/session_gateway.hpp"
#include "net/deflate.hpp"
#include "net/http.hpp"
#include "net/loop.hpp"
#include "net/tls_context.hpp"
#include "service/descriptors.hpp"
#include "service/internal_api.hpp"
#include "service/public_service.hpp"
#include "service/server_status.hpp"

namespace fairlead {

/// The composition root: loops, actors and listeners of one server, brought up bottom first and taken down top first.
class server::impl {
 public:
  /// Checks the options: std::invalid_argument.
  explicit impl(server_options);
  ~impl();  ///< shuts down
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  /// Binds and serves; if it throws, nothing is left running. Once.
  void serve();

  [[nodiscard]] actors::backbone& backbone() noexcept { return *backbone_; }
  [[nodiscard]] std::string address() const;
  [[nodiscard]] std::string internal_address() const;
  [[nodiscard]] std::string actors_address() const;
  std::future<shutdown_summary> drain() { return drain(drain_defaults()); }
  std::future<shutdown_summary> drain(drain_options);
  [[nodiscard]] drain_progress drain_state() const;
  void reload(const server_options&);
  void reload_tls();
  void reload_jwt();
  shutdown_summary shutdown(std::chrono::milliseconds deadline, close_code, std::string reason);

 private:
  void start_loops();
  void start_backbone();
  void start_listeners();
  void start_gateway();
  [[nodiscard]] service::descriptor_share share_descriptors(const limits&) const;
  std::unique_ptr<actors::session_gateway> take_gateway();
  [[nodiscard]] bool begun_before();
  shutdown_summary take_down(std::chrono::milliseconds deadline, close_code, std::string reason);
  [[nodiscard]] service::server_status status() const;
  [[nodiscard]] drain_options drain_defaults() const;
  [[nodiscard]] bool inside_a_loop() const noexcept;

  server_options options_;
  const protocol::wall_time started_ = std::chrono::system_clock::now();

  const std::shared_ptr<protocol::limit_hits> hits_ = std::make_shared<protocol::limit_hits>();
  const std::shared_ptr<service::upgrade_refusals> refusals_ =
      std::make_shared<service::upgrade_refusals>();
  const std::shared_ptr<net::deflate_counts> compressed_ = std::make_shared<net::deflate_counts>();
  std::vector<std::shared_ptr<net::loop>> loops_;  // connections live here
  std::shared_ptr<net::loop>
      side_;  // the internal listener and collectors: answers when a loop is stuck
  std::unique_ptr<actors::backbone> backbone_;
  std::size_t other_descriptors_ = 0;                 // open, beside clients'
  std::unique_ptr<actors::session_gateway> gateway_;  // null: none
  std::shared_ptr<net::tls_context> tls_;             // null: none
  std::shared_ptr<service::token_verifier> tokens_;   // null: none
  std::unique_ptr<net::listener> public_listener_, internal_listener_;
  std::weak_ptr<service::public_service> public_service_;  // the listener's
  std::weak_ptr<service::internal_api> internal_api_;      // the listener's

  mutable std::mutex mutex_;  // guards the six below; never held while waiting
  drain_options drain_defaults_;
  const net::listener* serving_ = nullptr;  // public_listener_, from when requests may ask for it
  std::string address_, internal_address_, actors_address_;
  bool shutdown_begun_ = false;

  bool served_ = false;                // it came up, so that its end is worth a line
  std::atomic<bool> unready_{false};   // a drain or shutdown has begun
  std::atomic<bool> refusing_{false};  // nobody is accepted any more
  std::atomic<std::chrono::steady_clock::rep> drain_began_{0};
  std::promise<shutdown_summary> stopped_;
  const std::shared_future<shutdown_summary> summary_{stopped_.get_future()};
};

}  // namespace fairlead
