#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/deflate_offer.hpp"
#include "net/socket_group.hpp"
#include "net/tls_socket.hpp"
#include "protocol/ports.hpp"

namespace fairlead::net {

/// What of the upgrade request the response needs: its Sec-WebSocket-Key, and the subprotocol that is chosen, or empty.
struct opening {
  std::string key, subprotocol;
};

/// The link of a socket whose upgrade request was found good. `already_read` are the bytes that came behind it, and
/// permessage-deflate is what was agreed on, if it was. A link that is dropped unopened answers the request with 503.
[[nodiscard]] std::shared_ptr<protocol::link>
make_link(tls_socket, const std::shared_ptr<socket_group>&, client_network, opening,
          std::string_view already_read, const std::optional<deflate_agreement>&);

}  // namespace fairlead::net
