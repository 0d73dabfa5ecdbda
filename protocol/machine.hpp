#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <fairlead/close.hpp>
#include <fairlead/limits.hpp>
#include <fairlead/message.hpp>
#include <fairlead/result.hpp>
#include <fairlead/snapshot.hpp>

#include "protocol/chunk.hpp"
#include "protocol/time.hpp"

/// The connection's state machine: pure, sans-I/O, total. States are types that hold only what that state may use;
/// there is one rule per (state, event) pair and a missing one does not build. Time is an argument, effects are data.
/// The rules are in protocol/rules.hpp.
namespace fairlead::protocol {

using fairlead::connection_state;

// --- states -------------------------------------------------------------------------------------------------------

struct connecting {};
struct accepted {};
/// The only state with a queue: what was handed to the wire and the kernel has not taken yet.
struct open {
  std::uint32_t queued_messages = 0;
  std::size_t queued_bytes = 0;
};
/// A Close frame is on its way, ours or the answer to the peer's.
struct closing {
  /// `clean` is what it will be if the handshake completes: false after a violation.
  close_info info;
  time_point deadline;
  connection_state reached;  ///< how far it had come: connecting, accepted or open
};
struct closed {
  close_info info;
};
struct failed {
  close_info info;
};
using state = std::variant<connecting, accepted, open, closing, closed, failed>;

[[nodiscard]] inline connection_state kind_of(const state& s) noexcept {
  return static_cast<connection_state>(s.index());
}
/// When the machine wants a `deadline_passed`; time_point::max() when it waits for nothing.
[[nodiscard]] time_point deadline_of(const state&) noexcept;

// --- events -------------------------------------------------------------------------------------------------------

/// The 101 response is queued.
struct upgraded {};
/// Registered; comes after `upgraded`, earlier it counts for nothing.
struct admitted {};
/// A send reached the mailbox.
struct send {
  chunk what;
};
/// One for which others have made way: `make_room` was carried out.
struct send_again {
  chunk what;
};
/// A whole inbound message.
struct received {
  message what;
};
/// The kernel took this much more, or will not: it is queued no longer.
struct written {
  std::uint32_t messages;
  std::size_t bytes;
};
/// Someone wants it to end. A code or reason that may not be sent is refused: clip the reasons we make up ourselves.
struct ask_close {
  close_code code;
  std::string reason;
  initiator by;
};
/// The peer's Close was read; the wire is sealed by an answer.
struct peer_closed {
  close_code code;
  std::string reason;
};
/// The peer broke the protocol; Close with code is queued.
struct violated {
  close_code code;
  std::string reason;
};
/// Both Close frames are exchanged and the kernel took ours.
struct link_closed {};
/// Reset, end of file, time-out.
struct link_failed {
  std::error_code error;
  std::string what;
};
/// The moment of `deadline_of` came.
struct deadline_passed {};

template <class T, class... Ts>
concept any_of = (std::same_as<T, Ts> || ...);
template <class T>
concept event = any_of<T, upgraded, admitted, send, send_again, received, written, ask_close,
                       peer_closed, violated, link_closed, link_failed, deadline_passed>;

// --- effects ------------------------------------------------------------------------------------------------------

/// Call the handlers, start reading.
struct announce_open {};
/// Hand to the wire. One that the transport sealed a moment ago does not take it: settle that one as `closing`.
struct write {
  chunk what;
};
/// Take back what is queued under this one's key, if it has one; then, if that leaves too little room, the oldest (how
/// much: `excess`). Tell what has gone (`written`), then `send_again`.
struct make_room {
  chunk what;
};
/// Queue a Close frame and seal the wire.
struct send_close {
  close_code code;
  std::string reason;
};
/// Drop the socket now.
struct abort_link {};
/// To the handlers.
struct deliver {
  message what;
};
/// Inbound data that came too late.
struct discard {
  message what;
};
/// Settle as refused.
struct refuse {
  chunk what;
  send_result why;
};
/// Exactly one for each ask_close.
struct answer_close {
  close_result result;
};
/// Exactly one in a life.
struct report_closed {
  close_info info;
  connection_state reached;
};
using effect = std::variant<announce_open, write, make_room, send_close, abort_link, deliver,
                            discard, refuse, answer_close, report_closed>;
/// The caller's, cleared and reused: stepping allocates nothing once its capacity is there.
using effects = std::vector<effect>;

/// How much must leave the queue so that this one fits under the limits; nothing if it does, or if the state has none.
[[nodiscard]] progress excess(const state&, const chunk&, const limits&) noexcept;

// --- the machine --------------------------------------------------------------------------------------------------

namespace detail {
// Instantiated in machine.cpp.
template <event Event>
void apply(state&, Event&&, const limits&, time_point now, effects&);
}  // namespace detail

/// Applies one event: replaces the state, appends effects in the order in which they must be carried out.
/// Event is one of the event structs above. `now` only ever grows.
template <class Event>
  requires event<std::remove_cvref_t<Event>>
void step(state& current, Event&& happened, const limits& bounds, time_point now, effects& out) {
  if constexpr (std::is_lvalue_reference_v<Event> || std::is_const_v<Event>)
    detail::apply(current, std::remove_cvref_t<Event>(happened), bounds, now, out);
  else
    detail::apply(current, std::forward<Event>(happened), bounds, now, out);
}

}  // namespace fairlead::protocol
