#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <fairlead/log.hpp>
#include <fairlead/server.hpp>

#include "actors/backbone.hpp"
#include "net/http.hpp"

namespace fairlead::service {

struct public_service_options {
  actors::backbone* backbone = nullptr;  ///< outlives the listener that serves this
  std::string path;                      ///< where WebSocket upgrades are accepted
  std::vector<std::string> origins;  ///< the web pages that may connect; `*`: all. To begin with
  std::function<admission(const upgrade_request&)> on_upgrade;  ///< may be empty
  std::shared_ptr<log> logger;                                  ///< null: silent
  std::shared_ptr<protocol::limit_hits> hits;
  bool has_sessions = false;       ///< clients may attach to sessions
  std::function<bool()> ready;     ///< no drain or shutdown has begun
  std::function<bool()> refusing;  ///< nobody is accepted any more
};

/// The public listener: the WebSocket path, /health and /ready, nothing else.
class public_service final : public net::http_service {
 public:
  explicit public_service(public_service_options o)
      : options_(std::move(o)),
        origins_(std::make_shared<const std::vector<std::string>>(options_.origins)) {}

  /// For upgrades from now on; any thread.
  void set_origins(std::vector<std::string>);

  void handle(const net::http_request&, net::respond) override;
  std::optional<net::http_response> upgrade(std::size_t loop, const upgrade_request&,
                                            const take_link&) override;

 private:
  /// The hook's answer; one that throws is a refusal with 500, and logged.
  [[nodiscard]] admission admit_or_refuse(const upgrade_request&) const;

  [[nodiscard]] net::http_response turn_away(const upgrade_request&, const refuse&) const;

  using origin_list = std::shared_ptr<const std::vector<std::string>>;
  [[nodiscard]] origin_list origins() const;

  public_service_options options_;
  mutable std::mutex mutex_;  // once per upgrade
  origin_list origins_;
};

}  // namespace fairlead::service
