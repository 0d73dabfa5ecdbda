#pragma once

#include <fairlead/close.hpp>
#include <fairlead/log.hpp>
#include <fairlead/result.hpp>

#include "protocol/machine.hpp"

/// How loud each happening is logged: the one place that decides. `warning` is for what someone should look at
/// today, `error` for what is a bug of ours or the embedder's; neither is for what the network does to every server.
namespace fairlead::protocol {

/// What nothing else here describes: an exception out of a handler or actor, an operation that cannot fail and did.
inline constexpr severity severity_of_the_unexpected = severity::error;

/// A send's outcome. After the close it is a race that every server sees (debug), and so is a user who is about to be
/// back; what says that a limit or the caller is wrong is a warning.
[[nodiscard]] severity severity_of(send_result) noexcept;
/// The answer to a close. Closing twice is allowed and quiet.
[[nodiscard]] severity severity_of(close_result) noexcept;
/// A connection entered this state. For `closed` and `failed` ask with the reason.
[[nodiscard]] severity severity_of(connection_state) noexcept;
/// A connection ended. Resets, time-outs and half-finished closing handshakes are ordinary: proxies and phones make
/// them all day.
[[nodiscard]] severity severity_of(const close_info&) noexcept;

}  // namespace fairlead::protocol
