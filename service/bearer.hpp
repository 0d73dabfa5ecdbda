#pragma once

#include <string>
#include <string_view>
#include <variant>

#include <fairlead/admission.hpp>

#include "service/upgrade_refusals.hpp"

/// Where a token is in an upgrade request, and what such a request looks like without it. Pure.
namespace fairlead::service {

/// The subprotocol before the token: the only one that is ever answered.
inline constexpr std::string_view bearer_subprotocol = "bearer";

struct bearer {
  std::string token;
  bool by_subprotocol = false;
};

/// The one token of a request: from `Authorization: Bearer TOKEN`, the subprotocols `bearer, TOKEN`, or a query parameter
/// of this name (empty: not there). `token_missing` if there is none, `token_ambiguous` if there is more than one, in
/// whatever places (RFC 6750 2).
[[nodiscard]] std::variant<bearer, upgrade_refusal> find_bearer(const upgrade_request&,
                                                                std::string_view parameter);

/// What follows `Bearer ` in an Authorization field (RFC 6750 2.1; the scheme's case does not matter, RFC 9110 11.1).
[[nodiscard]] std::string_view bearer_credentials(std::string_view field) noexcept;

/// A target or query with the values of secret parameters as `***`: those whose name ends with `token`, or with this name. As
/// logs and the debug endpoint may have it.
[[nodiscard]] std::string without_secrets(std::string_view target, std::string_view parameter = {});

/// A request that keeps its own bytes.
class request_copy {
 public:
  /// `parameter`: its value in the query is `***`, and the token is not in the headers. Null: as it is.
  request_copy(const upgrade_request&, const std::string* parameter);
  request_copy(const request_copy&) = delete;
  request_copy& operator=(const request_copy&) = delete;

  [[nodiscard]] const upgrade_request& view() const noexcept { return view_; }
  /// For `upgrade_request::token`.
  void set_token(admit);

 private:
  std::string target_, path_, peer_, certificate_;
  std::vector<std::pair<std::string, std::string>> headers_;
  admit token_;
  upgrade_request view_;
};

}  // namespace fairlead::service
