#include "service/request_guard.hpp"

#include "service/address.hpp"
#include "service/bearer.hpp"
#include "service/http_answer.hpp"

namespace fairlead::service {

bool same_secret(std::string_view given, std::string_view secret) noexcept {
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const char other = secret.empty() ? '\0' : secret[i % secret.size()];
    difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(other);
  }
  return difference == 0;
}

std::optional<net::http_response> refuse_request(const net::http_request& request,
                                                 std::string_view token) {
  if (!request.header("Origin").empty()) {
    return error_answer(
        403, "requests from web pages (with an Origin field) are refused; use a tool such as curl");
  }
  if (token.empty()) {
    const auto host = request.header("Host");
    if (host.empty() || is_literal_host(host)) return {};
    return error_answer(
        403, "the Host field is a name; use an IP address or localhost, or configure a token");
  }
  if (same_secret(bearer_credentials(request.header("Authorization")), token)) return {};
  auto answer =
      error_answer(401, "send the internal listener's token as \"Authorization: Bearer <token>\"");
  answer.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"fairlead\"");
  return answer;
}

}  // namespace fairlead::service
