#pragma once

#include <string>
#include <string_view>

#include "net/asio.hpp"

namespace fairlead::net {

/// The endpoint that `host:port` or `[v6]:port` names. Throws std::system_error that names the address.
[[nodiscard]] asio::ip::tcp::endpoint parse_address(const std::string& address);

/// `127.0.0.1:8000`, `[::1]:8000`.
[[nodiscard]] std::string to_string(const asio::ip::tcp::endpoint&);

}  // namespace fairlead::net
