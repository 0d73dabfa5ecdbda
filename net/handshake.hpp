#pragma once

#include <optional>

#include "net/http_message.hpp"

namespace fairlead::net {

/// Whether the client means to open a WebSocket, well-formed or not: it says `Upgrade: websocket` or sends a key.
[[nodiscard]] bool asks_for_websocket(const request_head&);

/// What is wrong with an upgrade request (RFC 6455 4.2.1, answers as in 4.2.2 and 4.4); nothing if it may be accepted.
[[nodiscard]] std::optional<http_response> fault_of_upgrade(const request_head&);

}  // namespace fairlead::net
