#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <fairlead/server.hpp>

#include "net/http.hpp"
#include "service/admission_desk.hpp"

namespace fairlead::service {

struct public_service_options {
  std::string path;                  ///< where WebSocket upgrades are accepted
  std::vector<std::string> origins;  ///< the web pages that may connect; `*`: all. To begin with
  admission_options admission;
  bool has_sessions = false;    ///< clients may attach to sessions
  std::function<bool()> ready;  ///< no drain or shutdown has begun
};

/// The public listener: the WebSocket path, /health and /ready, nothing else.
class public_service final : public net::http_service {
 public:
  explicit public_service(public_service_options o)
      : options_(std::move(o)),
        desk_(options_.admission),
        origins_(std::make_shared<const std::vector<std::string>>(options_.origins)) {}

  /// For upgrades from now on; any thread.
  void set_origins(std::vector<std::string>);

  void handle(const net::http_request&, net::respond) override;
  std::optional<net::http_response> upgrade(std::size_t loop, const upgrade_request&,
                                            net::upgrade_turn&) override;

 private:
  using origin_list = std::shared_ptr<const std::vector<std::string>>;
  [[nodiscard]] origin_list origins() const;

  const public_service_options options_;
  admission_desk desk_;
  mutable std::mutex mutex_;  // once per upgrade
  origin_list origins_;
};

}  // namespace fairlead::service
