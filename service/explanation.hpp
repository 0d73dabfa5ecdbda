#pragma once

#include <string>
#include <string_view>

#include <fairlead/close.hpp>

#include "protocol/snapshot.hpp"

/// Why things are as they are, in a sentence, for whoever is on call. Pure.
namespace fairlead::service {

/// The code's meaning in a few words (RFC 6455 7.4.1 and the IANA registry): 1001 is `going away`.
[[nodiscard]] std::string_view meaning(close_code) noexcept;

/// Why the connection is in its state and what it waits for.
[[nodiscard]] std::string explain(const protocol::connection_snapshot&);
/// What the event's number means, which depends on its name; empty where it has none.
[[nodiscard]] std::string explain(const recorded_event&);
/// Why the connection ended.
[[nodiscard]] std::string explain(const protocol::closed_record&);

}  // namespace fairlead::service
