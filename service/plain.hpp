#pragma once

#include <fairlead/server.hpp>

#include "service/settings.hpp"

namespace fairlead::service {

/// Makes plain mode the message handler of `options`: each message is one WebSocket message.
/// `server` is the one that these options will start; it outlives its handlers.
void serve_plain(plain_mode, server_options& options, server& server);

/// Makes a trusted proxy's header field the user; without the field a client is anonymous.
void trust_user_header(std::string name, server_options& options);

}  // namespace fairlead::service
