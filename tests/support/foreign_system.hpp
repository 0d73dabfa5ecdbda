#pragma once

#include <mutex>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/io/middleman.hpp>
#include <caf/openssl/manager.hpp>

#include <fairlead/caf/remote.hpp>
#include <fairlead/log.hpp>

#include "tests/support/certificates.hpp"

/// Another node of CAF's, for tests of what passes between two.
namespace fairlead::test {

struct foreign_config : caf::actor_system_config {
  explicit foreign_config(const certified* tls = nullptr) {
    load<caf::io::middleman>();
    remote::add_message_types(*this);
    set("scheduler.max-threads", 1U);
    if (!tls) return;
    openssl_certificate = tls->certificate;
    openssl_key = tls->key;
    openssl_cafile = tls->ca_file;
    load<caf::openssl::manager>();
  }
};
/// An actor system as another process would have it.
struct foreign {
  explicit foreign(const certified* tls = nullptr) : config(tls) {}
  foreign_config config;
  caf::actor_system system{config};
};

/// Keeps log lines as `event key=value ...`, those with text alone; any thread.
class shared_log final : public log {
 public:
  bool enabled(severity) const noexcept override { return true; }
  void write(severity, std::string_view event,
             std::span<const log_field> fields) noexcept override {
    std::string line{event};
    for (const auto& f : fields)
      if (const auto* text = std::get_if<std::string_view>(&f.value))
        line.append(" ").append(f.key).append("=").append(*text);
    const std::lock_guard lock{mutex_};
    lines_.push_back(std::move(line));
  }
  /// Lines of this event with this in them.
  [[nodiscard]] std::size_t count(std::string_view event, std::string_view part = {}) const {
    const std::lock_guard lock{mutex_};
    std::size_t n = 0;
    for (const auto& line : lines_)
      if (line.starts_with(event) && line.find(part) != std::string::npos) ++n;
    return n;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

}  // namespace fairlead::test
