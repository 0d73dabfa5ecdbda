#pragma once

#include <optional>
#include <string>

#include "net/http_message.hpp"

namespace fairlead::net {

/// On what a client and this server have agreed (RFC 7692 7.1). Neither side keeps a context from one message to the
/// next, so that one compressed message is right for every client, and a client costs no memory between messages.
struct deflate_agreement {
  int window_bits = 15;  ///< of what the server sends
  /// What the response says of it, in Sec-WebSocket-Extensions.
  [[nodiscard]] std::string response() const;
};

/// The first of the client's offers of permessage-deflate that can be accepted; nothing if there is none.
[[nodiscard]] std::optional<deflate_agreement> accept_deflate(const request_head&);

}  // namespace fairlead::net
