#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "protocol/session_frames.hpp"
#include "service/debug_query.hpp"

/// How a client says in its upgrade request which session it wants: `?session=ID&token=TOKEN&after=OFFSET&epoch=EPOCH`.
namespace fairlead::service {

/// Null if the query names no session. Other parameters are the application's.
[[nodiscard]] parsed<std::unique_ptr<const protocol::attach_request>>
parse_attach_query(std::string_view query);

/// The target with the value of each parameter `token` as `***`: as logs and the debug endpoint may have it.
[[nodiscard]] std::string without_token(std::string_view target);

}  // namespace fairlead::service
