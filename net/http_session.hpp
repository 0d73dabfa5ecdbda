#pragma once

#include <memory>

#include "net/asio.hpp"
#include "net/http.hpp"
#include "net/socket_group.hpp"
#include "net/tls_socket.hpp"

namespace fairlead::net {

/// Speaks HTTP/1.1 on an accepted socket, after TLS's handshake if there is TLS: one request after another until one of them becomes a WebSocket, which takes
/// the socket with it, or the connection ends. Lives as long as the socket.
void serve_http(tls_socket, const asio::ip::tcp::endpoint& peer,
                const std::shared_ptr<socket_group>&, std::shared_ptr<http_service>,
                std::size_t max_body);

}  // namespace fairlead::net
