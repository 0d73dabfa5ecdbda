#pragma once

#include <optional>
#include <string_view>

#include "net/http.hpp"

namespace fairlead::service {

/// Who may use the internal listener: nobody from a web page, and with a token only who has it. Nothing if the request
/// may pass, or its refusal. An empty token asks for none.
///
/// A browser on the operator's machine can reach a loopback port on behalf of any page that it shows. Such requests
/// carry an Origin field (Fetch 3.2), or after a DNS rebinding a Host that is somebody's name; both are refused.
[[nodiscard]] std::optional<net::http_response> refuse_request(const net::http_request&,
                                                               std::string_view token);

/// Compares in a time that depends on the length of `given` alone.
[[nodiscard]] bool same_secret(std::string_view given, std::string_view secret) noexcept;

}  // namespace fairlead::service
