#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "net/deflate_offer.hpp"
#include "net/socket_group.hpp"
#include "net/tls_socket.hpp"
#include "protocol/ports.hpp"

namespace fairlead::net {

/// The link of a socket whose upgrade request was found good. `key` is that request's Sec-WebSocket-Key, `already_read`
/// the bytes that came behind it, and permessage-deflate is what was agreed on, if it was. A link that is dropped unopened
/// answers the request with 503.
[[nodiscard]] std::shared_ptr<protocol::link>
make_link(tls_socket, const std::shared_ptr<socket_group>&, client_network, std::string_view key,
          std::string_view already_read, const std::optional<deflate_agreement>&);

}  // namespace fairlead::net
