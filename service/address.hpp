#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fairlead::service {

/// Where a listener is to be: `127.0.0.1:8000`, `[::1]:8000`, `localhost:0`.
struct address {
  std::string host;  ///< without brackets
  std::uint16_t port = 0;
};

/// What `parse_address` accepts, for error messages.
inline constexpr std::string_view address_form =
    R"(host:port with a port of 0 to 65535, such as "127.0.0.1:8000" or "[::1]:8000")";

[[nodiscard]] std::optional<address> parse_address(std::string_view) noexcept;

/// Whether only this machine can reach it: 127.0.0.0/8, ::1, or the name `localhost` (RFC 6761 6.3).
[[nodiscard]] bool is_loopback(const address&) noexcept;

/// Whether `host`, as a Host header field has it (with or without a port), is an IP address or `localhost`: no name that
/// someone else's DNS could have pointed here.
[[nodiscard]] bool is_literal_host(std::string_view host) noexcept;

}  // namespace fairlead::service
