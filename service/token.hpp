#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <variant>

#include <fairlead/admission.hpp>
#include <fairlead/jwt.hpp>

#include "protocol/rfc3339.hpp"
#include "service/upgrade_refusals.hpp"

namespace fairlead::service {

/// Longer ones are not looked at.
inline constexpr std::size_t most_token_bytes = 8 * 1024;

/// Checks JSON Web Tokens (RFC 7519) against one algorithm and one key. Any thread.
///
/// The one place that sees libjwt. It decodes and verifies; which algorithm, and what claims mean, is decided here
/// (docs/adr/0020).
class token_verifier {
 public:
  using clock = std::function<protocol::wall_time()>;

  /// Reads and checks the key: std::runtime_error that says what is wrong with it, and never what is in it.
  explicit token_verifier(jwt_options, clock now = &std::chrono::system_clock::now);

  /// What the token says, or why it is refused: one of the `token_` ones. No claim is looked at before algorithm and
  /// signature are found good.
  [[nodiscard]] std::variant<admit, upgrade_refusal> verify(std::string_view token) const;

  /// Reads the key again, for tokens from now on. Throws as the constructor does; then the old one stays in use.
  void reload();

  [[nodiscard]] const jwt_options& options() const noexcept { return options_; }

 private:
  using key_bytes = std::shared_ptr<const std::string>;
  [[nodiscard]] key_bytes key() const;

  const jwt_options options_;
  const clock now_;
  mutable std::mutex mutex_;  // once per token
  key_bytes key_;
};

/// "ES256"; the names of RFC 7518.
[[nodiscard]] std::string_view to_string(jwt_algorithm) noexcept;

}  // namespace fairlead::service
