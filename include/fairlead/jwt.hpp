#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fairlead {

/// How tokens are signed (RFC 7518 3.1).
enum class jwt_algorithm : std::uint8_t {
  hs256,
  hs384,
  hs512,
  rs256,
  rs384,
  rs512,
  es256,
  es384,
  es512
};

/// Admission by JSON Web Tokens (RFC 7519), checked before any hook. With a key, every client has to show one: in
/// `Authorization: Bearer TOKEN`, as the subprotocols `bearer, TOKEN`, or in a query parameter, in one of these places.
/// Without one it gets 401.
struct jwt_options {
  /// The one that is accepted, whatever a token says of itself.
  std::optional<jwt_algorithm> algorithm = {};
  /// HS: the secret, as it is but for a line end behind it. RS, ES: the public key, PEM. Read by `start`, and again by
  /// `reload_jwt`. Empty, and no `key`: no tokens are asked for.
  std::string key_file = {};
  /// The same without a file.
  std::string key = {};
  /// Has to be the token's `aud`, or one of them. Empty: a token that names any is not for this server (RFC 7519 4.1.3).
  std::string audience = {};
  /// Has to be the token's `iss`. Empty: not looked at.
  std::string issuer = {};
  /// The claim that is the user's name: a string that is not empty.
  std::string user_claim = "sub";
  /// Claims that become metadata, as far as a token has them: strings as they are, others as JSON.
  std::vector<std::string> metadata_claims = {};
  /// By how much this machine's clock and the issuer's may differ, for `exp` and `nbf`. Clocks that are looked after
  /// differ by less than a second; this forgives some neglect, and lengthens a stolen token's life by as much.
  std::chrono::milliseconds leeway{10'000};
  /// Refuse tokens without `exp`.
  bool require_expiry = true;
  /// Where in the query a token may be, for clients that can set no header. Empty: not in the query. Its value is shown
  /// in no log of Fairlead's; that of a proxy in front may have it.
  std::string query_parameter = "access_token";

  [[nodiscard]] bool enabled() const noexcept { return !key_file.empty() || !key.empty(); }
};

}  // namespace fairlead
