#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <fairlead/session.hpp>

#include "protocol/time.hpp"

/// A session's state machine, in the manner of the connection's (protocol/machine.hpp): pure, total, time is an argument.
/// The rules are in protocol/session_rules.hpp.
namespace fairlead::protocol::sessions {

// --- states -------------------------------------------------------------------------------------------------------

/// What every session that has not ended has: how often its behaviour has failed since `counting_since`.
struct failures {
  std::uint32_t count = 0;
  time_point counting_since{};
};

struct detached {
  time_point deadline;  ///< by when the first socket has to come
  failures failed;
};
struct attached {
  std::size_t sockets;  ///< at least 1
  failures failed;
};
struct reconnecting {
  time_point deadline;  ///< by when a socket has to come back
  failures failed;
};
struct ended {
  session_end info;
};
using state = std::variant<detached, attached, reconnecting, ended>;

[[nodiscard]] inline session_state kind_of(const state& s) noexcept {
  return static_cast<session_state>(s.index());
}
/// When the machine wants a `deadline_passed`; time_point::max() when it waits for nothing.
[[nodiscard]] time_point deadline_of(const state&) noexcept;
/// A session that is spawned now.
[[nodiscard]] state begin(const session_options&, time_point now) noexcept;

// --- events -------------------------------------------------------------------------------------------------------

/// A socket with a good token asks to come in.
struct ask_attach {
  bool replaces = false;  ///< an attached socket holds that token: the same client's, before
};
/// It is open and belongs to the session.
struct socket_attached {
  bool replaces = false;
};
/// One that was attached is gone.
struct socket_detached {};
/// Something is to be appended to the stream.
struct emit {};
/// Somebody wants it to end. A reason that no Close frame can carry is cut.
struct ask_end {
  session_ender by;
  std::string reason;
};
/// Its behaviour threw, or could not be made.
struct behavior_failed {};
struct owner_lost {};
/// The moment of `deadline_of` came.
struct deadline_passed {};

template <class T, class... Ts>
concept any_of = (std::same_as<T, Ts> || ...);
template <class T>
concept event = any_of<T, ask_attach, socket_attached, socket_detached, emit, ask_end,
                       behavior_failed, owner_lost, deadline_passed>;

// --- effects ------------------------------------------------------------------------------------------------------

/// Let the socket that asks in.
struct let_in {};
/// Close the socket that asks.
struct turn_away {
  close_code code;
  std::string reason;
};
/// Say what the new socket missed, send what is kept, and what comes. If it takes over, the older ones are closed first; if it
/// replaces one, that one.
struct catch_up {
  bool takes_over = false;
  bool replaces = false;
};
/// Append and send to every socket.
struct append {};
struct refuse_emit {
  emit_result why;
};
/// A new behaviour in place of the one that failed.
struct restart {};
/// Exactly one in a life: close the sockets, tell who wants to know.
struct report_ended {
  session_end info;
};
using effect =
    std::variant<let_in, turn_away, catch_up, append, refuse_emit, restart, report_ended>;
using effects = std::vector<effect>;

// --- the machine --------------------------------------------------------------------------------------------------

namespace detail {
// Instantiated in session_machine.cpp.
template <event Event>
void apply(state&, Event&&, const session_options&, time_point now, effects&);
}  // namespace detail

/// Applies one event: replaces the state, appends effects in the order in which they must be carried out.
template <class Event>
  requires event<std::remove_cvref_t<Event>>
void step(state& current, Event&& happened, const session_options& options, time_point now,
          effects& out) {
  detail::apply(current, std::remove_cvref_t<Event>(std::forward<Event>(happened)), options, now,
                out);
}

}  // namespace fairlead::protocol::sessions
