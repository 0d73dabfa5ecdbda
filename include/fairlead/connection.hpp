#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fairlead/close.hpp>
#include <fairlead/connection_id.hpp>
#include <fairlead/message.hpp>
#include <fairlead/result.hpp>
#include <fairlead/send_options.hpp>

namespace fairlead {

using send_callback = std::function<void(send_result)>;
using close_callback = std::function<void(close_result)>;

/// What the admission of a connection says beside its user: names and values.
using connection_metadata = std::vector<std::pair<std::string, std::string>>;

namespace detail {
class connection_core;
}

/// A handle to one connection. Copy it, keep it, use it from any thread, before the connection is open, while it
/// closes, long after it and its server are gone: every call is safe and says what it met.
///
/// Order: what one thread sends and closes through handles of one connection happens in that order. Nothing here waits
/// for anything. Callbacks run once each: on the connection's event loop; for what is refused at once (`overflow`,
/// `too_large`, `no_such_connection`, and `closing` behind an overflow that closes) on the caller's thread before the call returns; and if the connection is gone, on
/// the thread that found that out. Keep them short, let them not throw.
class connection {
 public:
  connection() = default;  ///< no connection: sends are refused with `no_such_connection`
  explicit connection(std::shared_ptr<const detail::connection_core> core) noexcept
      : core_(std::move(core)) {}

  [[nodiscard]] connection_id id() const noexcept;
  [[nodiscard]] const std::string& user() const noexcept;  ///< empty: anonymous
  [[nodiscard]] const std::string& peer() const noexcept;  ///< `address:port`
  [[nodiscard]] const connection_metadata& metadata() const noexcept;
  /// When its admission expires; nothing: never.
  [[nodiscard]] std::optional<std::chrono::system_clock::time_point> expires_at() const noexcept;

  /// Sends without asking what became of it: nothing asked, nothing paid. A refusal is counted and logged.
  void send(message) const;
  void send(message, send_callback) const;
  void send(message, send_options, send_callback = {}) const;
  [[nodiscard]] std::future<send_result> send_reported(message, send_options = {}) const;

  /// Starts the closing handshake after what is already queued. A code that may not be sent is `invalid_code`.
  void close(close_code = close_code::normal, std::string reason = {}, close_callback = {}) const;
  [[nodiscard]] std::future<close_result> close_reported(close_code = close_code::normal,
                                                         std::string reason = {}) const;

  [[nodiscard]] explicit operator bool() const noexcept { return core_ != nullptr; }
  friend bool operator==(const connection&, const connection&) = default;

  /// For `fairlead/caf/`.
  [[nodiscard]] const std::shared_ptr<const detail::connection_core>& core() const noexcept {
    return core_;
  }

 private:
  std::shared_ptr<const detail::connection_core> core_;
};

}  // namespace fairlead
