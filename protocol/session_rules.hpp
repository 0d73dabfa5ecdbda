#pragma once

#include <string>
#include <utility>
#include <variant>

#include "protocol/session_machine.hpp"
#include "protocol/utf8.hpp"

/// The rules of protocol/session_machine.hpp: for each (state, event) pair one overload of `on`, to be read as a table.
namespace fairlead::protocol::sessions::rules {

struct stay {};

struct context {
  const session_options& options;
  time_point now;
  effects& out;

  template <class Effect>
  void emit(Effect&& what) const {
    out.emplace_back(std::forward<Effect>(what));
  }
};

template <class State>
concept alive = any_of<State, detached, attached, reconnecting>;
using maybe_ended = std::variant<stay, ended>;

/// The one place where a life ends: reported here and nowhere else.
inline ended end(session_end info, const context& c) {
  info.reason = valid_utf8(info.reason) ? clip_utf8(info.reason, max_close_reason) : "ended";
  c.emit(report_ended{info});
  return {std::move(info)};
}

inline bool joins(const session_options& o) noexcept {
  return o.on_second_socket == second_socket::joins;
}

// --- sockets ------------------------------------------------------------------------------------------------------

inline bool full(const attached& s, const session_options& o) noexcept {
  return joins(o) && s.sockets >= o.max_sockets;
}
inline turn_away too_many() {
  return {close_code::session_full, "the session has as many sockets as it may"};
}

stay on(any_of<detached, reconnecting> auto&, ask_attach&&, const context& c) {
  c.emit(let_in{});
  return {};
}
inline stay on(attached& s, ask_attach&& e, const context& c) {
  if (full(s, c.options) && !e.replaces)
    c.emit(too_many());
  else
    c.emit(let_in{});
  return {};
}
inline stay on(ended& s, ask_attach&&, const context& c) {
  c.emit(turn_away{close_code::session_ended, s.info.reason});
  return {};
}

attached on(any_of<detached, reconnecting> auto& s, socket_attached&&, const context& c) {
  c.emit(catch_up{});
  return {1, s.failed};
}
// Looked at again: others were let in at the same time. Where all places are taken, a client that comes back gets the one
// that its dead socket has, which nobody may have noticed yet.
inline stay on(attached& s, socket_attached&& e, const context& c) {
  const bool replaces = full(s, c.options);
  if (replaces && !e.replaces) {
    c.emit(too_many());
    return {};
  }
  ++s.sockets;
  c.emit(catch_up{!joins(c.options), replaces});
  return {};
}
// It was let in just before the end.
inline stay on(ended& s, socket_attached&&, const context& c) {
  c.emit(turn_away{close_code::session_ended, s.info.reason});
  return {};
}

inline std::variant<stay, reconnecting> on(attached& s, socket_detached&&, const context& c) {
  if (--s.sockets > 0) return stay{};
  return reconnecting{c.now + c.options.resume_window, s.failed};
}
stay on(any_of<detached, reconnecting, ended> auto&, socket_detached&&, const context&) {
  return {};
}

// --- messages -----------------------------------------------------------------------------------------------------

stay on(alive auto&, emit&&, const context& c) {
  c.emit(append{});
  return {};
}
inline stay on(ended&, emit&&, const context& c) {
  c.emit(refuse_emit{emit_result::ended});
  return {};
}

// --- the end ------------------------------------------------------------------------------------------------------

ended on(alive auto&, ask_end&& e, const context& c) { return end({e.by, std::move(e.reason)}, c); }

maybe_ended on(alive auto& s, behavior_failed&&, const context& c) {
  auto& failed = s.failed;
  if (c.now - failed.counting_since >= c.options.restart_period) failed = {0, c.now};
  ++failed.count;
  if (c.options.on_failure == behavior_failure::restarts &&
      failed.count <= c.options.max_restarts) {
    c.emit(restart{});
    return stay{};
  }
  return end({session_ender::behavior, "internal error"}, c);
}

maybe_ended on(alive auto&, owner_lost&&, const context& c) {
  if (c.options.on_owner_gone == owner_gone::lingers) return stay{};
  return end({session_ender::owner, "the session's owner is gone"}, c);
}

inline maybe_ended on(detached& s, deadline_passed&&, const context& c) {
  if (c.now < s.deadline) return stay{};
  return end({session_ender::never_attached, "nobody attached in time"}, c);
}
inline maybe_ended on(reconnecting& s, deadline_passed&&, const context& c) {
  if (c.now < s.deadline) return stay{};
  return end({session_ender::abandoned, "nobody came back in time"}, c);
}
inline stay on(attached&, deadline_passed&&, const context&) { return {}; }

inline stay on(ended&, any_of<ask_end, behavior_failed, owner_lost, deadline_passed> auto&&,
               const context&) {
  return {};
}

/// Whether there is a rule for each of these events in each state.
template <class... Events>
struct event_list {};
using every_event = event_list<ask_attach, socket_attached, socket_detached, sessions::emit,
                               ask_end, behavior_failed, owner_lost, deadline_passed>;
template <class State, class Event>
concept has_rule = requires(State& s, Event e, const context& c) {
  on(s, std::move(e), c);
};
template <class State, class... Events>
consteval bool rules_for_all(event_list<Events...>) {
  return (has_rule<State, Events> && ...);
}
template <class... States, class List>
consteval bool total(const std::variant<States...>*, List events) {
  return (rules_for_all<States>(events) && ...);
}

}  // namespace fairlead::protocol::sessions::rules
