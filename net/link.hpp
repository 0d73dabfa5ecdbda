#pragma once

#include <memory>
#include <string_view>

#include "net/socket_group.hpp"
#include "net/tcp_socket.hpp"
#include "protocol/ports.hpp"

namespace fairlead::net {

/// The link of a socket whose upgrade request was found good. `key` is that request's Sec-WebSocket-Key, `already_read`
/// the bytes that came behind it. A link that is dropped unopened answers the request with 503.
[[nodiscard]] std::shared_ptr<protocol::link> make_tcp_link(tcp_socket,
                                                            const std::shared_ptr<socket_group>&,
                                                            client_network, std::string_view key,
                                                            std::string_view already_read);

}  // namespace fairlead::net
