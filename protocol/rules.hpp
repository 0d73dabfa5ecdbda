#pragma once

#include <algorithm>
#include <cassert>
#include <optional>
#include <utility>
#include <variant>

#include "protocol/defect.hpp"
#include "protocol/frame.hpp"
#include "protocol/machine.hpp"

/// The rules of protocol/machine.hpp: for each (state, event) pair one overload of `on`. Read it as a table. The
/// return type says where a rule may lead: `stay` nowhere, a state there, an optional state maybe there.
///
/// Every state is named in every rule that is for it; there is no rule for "the others". So a new state or event
/// does not build until each of its pairs was thought of (`total`).
namespace fairlead::protocol::rules {

struct stay {};

/// What a rule may use beside its state and its event.
struct context {
  const limits& bounds;
  time_point now;
  effects& out;

  /// `out` grows by one; nothing is copied.
  template <class Effect>
  void emit(Effect&& what) const {
    out.emplace_back(std::forward<Effect>(what));
  }
};

template <class State>
inline constexpr connection_state name_of = static_cast<connection_state>(-1);
template <>
inline constexpr connection_state name_of<connecting> = connection_state::connecting;
template <>
inline constexpr connection_state name_of<accepted> = connection_state::accepted;
template <>
inline constexpr connection_state name_of<open> = connection_state::open;
template <>
inline constexpr connection_state name_of<closing> = connection_state::closing;
template <>
inline constexpr connection_state name_of<closed> = connection_state::closed;
template <>
inline constexpr connection_state name_of<failed> = connection_state::failed;

// --- becoming open ------------------------------------------------------------------------------------------------

inline accepted on(connecting&, upgraded&&, const context&) { return {}; }
// Also: what closes while it connects still has its 101 queued.
stay on(any_of<accepted, open, closing, closed, failed> auto&, upgraded&&, const context&) {
  return {};
}

inline open on(accepted&, admitted&&, const context& c) {
  c.emit(announce_open{});
  return {};
}
stay on(any_of<connecting, open, closing, closed, failed> auto&, admitted&&, const context&) {
  return {};
}

// --- messages -----------------------------------------------------------------------------------------------------

/// Why this chunk cannot be queued, or `written` if it can. A run of several frames was checked frame by frame.
inline send_result fits(const open& state, const chunk& what, const limits& bounds) noexcept {
  if (what.frames == 1 && frame_payload_size(what.size) > bounds.max_send_size)
    return send_result::too_large;
  const bool room =
      (std::uint64_t{state.queued_messages} + what.frames <= bounds.max_queued_messages ||
       planted(defect::crowded_queue)) &&
      state.queued_bytes + what.size <= bounds.max_queued_bytes;
  return room || planted(defect::unbounded_queue) ? send_result::written : send_result::overflow;
}

/// Whether others make way for this one if they must: the message's own policy, or the connection's.
inline bool others_make_way(const chunk& what, const limits& bounds) noexcept {
  const auto* const terms = what.terms();
  const auto policy = terms ? terms->policy.value_or(bounds.slow_consumers) : bounds.slow_consumers;
  const bool fits_alone =
      what.frames <= bounds.max_queued_messages && what.size <= bounds.max_queued_bytes;
  return fits_alone && (policy == slow_policy::drop_oldest || policy == slow_policy::keep_latest);
}

/// One that cannot be queued as it is.
[[gnu::noinline]] inline void no_room(send&& event, send_result why, const context& c) {
  if (why == send_result::overflow && others_make_way(event.what, c.bounds))
    c.emit(make_room{std::move(event.what)});
  else
    c.emit(refuse{std::move(event.what), why});
}

/// Whether the terms of this one are all there is to say about it: it has expired, or may replace something.
[[gnu::noinline]] inline bool settled_by_terms(const open& state, send& event, const context& c) {
  const auto& terms = *event.what.terms();
  if (terms.expires <= c.now) {
    c.emit(refuse{std::move(event.what), send_result::expired});
    return true;
  }
  if (terms.key.empty() || state.queued_messages == 0) return false;
  c.emit(make_room{std::move(event.what)});
  return true;
}

[[gnu::always_inline]] inline void queue(open& state, chunk&& what, const context& c) {
  state.queued_messages += what.frames;
  state.queued_bytes += what.size;
  c.emit(write{std::move(what)});
}

// Every message comes by here: what only few need is out of line.
inline stay on(open& state, send&& event, const context& c) {
  if (event.what.tag != 0 && settled_by_terms(state, event, c)) return {};
  if (const auto why = fits(state, event.what, c.bounds); why != send_result::written)
    no_room(std::move(event), why, c);
  else
    queue(state, std::move(event.what), c);
  return {};
}
inline stay on(open& state, send_again&& event, const context& c) {
  if (const auto why = fits(state, event.what, c.bounds); why != send_result::written)
    c.emit(refuse{std::move(event.what), why});
  else
    queue(state, std::move(event.what), c);
  return {};
}
stay on(connecting&, any_of<send, send_again> auto&& event, const context& c) {
  c.emit(refuse{std::move(event.what), send_result::connecting});
  return {};
}
stay on(accepted&, any_of<send, send_again> auto&& event, const context& c) {
  c.emit(refuse{std::move(event.what), send_result::accepted});
  return {};
}
stay on(closing&, any_of<send, send_again> auto&& event, const context& c) {
  c.emit(refuse{std::move(event.what), send_result::closing});
  return {};
}
stay on(closed&, any_of<send, send_again> auto&& event, const context& c) {
  c.emit(refuse{std::move(event.what), send_result::closed});
  return {};
}
stay on(failed&, any_of<send, send_again> auto&& event, const context& c) {
  c.emit(refuse{std::move(event.what), send_result::failed});
  return {};
}

inline stay on(open& state, written&& event, const context&) {
  // More than was queued would be a bug of the caller's. It must not turn the account into a huge one.
  assert(event.messages <= state.queued_messages && event.bytes <= state.queued_bytes);
  state.queued_messages -= std::min(event.messages, state.queued_messages);
  state.queued_bytes -= std::min(event.bytes, state.queued_bytes);
  return {};
}
// What is queued before a Close is still written, but the account went with `open`.
stay on(any_of<connecting, accepted, closing, closed, failed> auto&, written&&, const context&) {
  return {};
}

inline stay on(open&, received&& event, const context& c) {
  c.emit(deliver{std::move(event.what)});
  return {};
}
stay on(any_of<connecting, accepted, closing, closed, failed> auto&, received&& event,
        const context& c) {
  c.emit(discard{std::move(event.what)});
  return {};
}

// --- closing ------------------------------------------------------------------------------------------------------

template <any_of<connecting, accepted, open> State>
std::optional<closing> on(State&, ask_close&& event, const context& c) {
  if (!may_be_sent(event.code) || !valid_close_reason(event.reason)) {
    c.emit(answer_close{close_result::invalid_code});
    return std::nullopt;
  }
  // While connecting, the wire holds the Close back until the 101 response is out.
  c.emit(send_close{event.code, event.reason});
  c.emit(answer_close{close_result::initiated});
  return closing{{event.code, std::move(event.reason), event.by, true},
                 c.now + c.bounds.close_timeout,
                 name_of<State>};
}
inline stay on(closing&, ask_close&&, const context& c) {
  c.emit(answer_close{close_result::already_closing});
  return {};
}
stay on(any_of<closed, failed> auto&, ask_close&&, const context& c) {
  c.emit(answer_close{close_result::already_closed});
  return {};
}

template <any_of<connecting, accepted, open> State>
closing on(State&, peer_closed&& event, const context& c) {
  return {{event.code, std::move(event.reason), initiator::peer, true},
          c.now + c.bounds.close_timeout,
          name_of<State>};
}
// In `closing` it is the answer to ours, or both sides closed at once: the first stands.
stay on(any_of<closing, closed, failed> auto&, peer_closed&&, const context&) { return {}; }

template <any_of<connecting, accepted, open> State>
closing on(State&, violated&& event, const context& c) {
  return {{event.code, std::move(event.reason), initiator::violation, false},
          c.now + c.bounds.close_timeout,
          name_of<State>};
}
inline stay on(closing& state, violated&&, const context&) {
  state.info.clean = false;
  return {};
}
stay on(any_of<closed, failed> auto&, violated&&, const context&) { return {}; }

// --- the end ------------------------------------------------------------------------------------------------------

/// The one place where a life ends: reported here and nowhere else.
template <any_of<closed, failed> Final>
Final end(close_info&& info, connection_state reached, const context& c) {
  c.emit(report_closed{info, reached});
  return {std::move(info)};
}

inline failed lost(std::string&& what, connection_state reached, const context& c) {
  return end<failed>({close_code::abnormal, std::move(what), initiator::transport, false}, reached,
                     c);
}

inline closed on(closing& state, link_closed&&, const context& c) {
  return end<closed>(std::move(state.info), state.reached, c);
}
// Cannot happen: a link closes after Close frames, and with the first of those the state is `closing`.
template <any_of<connecting, accepted, open> State>
failed on(State&, link_closed&&, const context& c) {
  return lost("the link closed without a Close frame", name_of<State>, c);
}
stay on(any_of<closed, failed> auto&, link_closed&&, const context&) { return {}; }

template <any_of<connecting, accepted, open> State>
failed on(State&, link_failed&& event, const context& c) {
  return lost(event.what.empty() ? event.error.message() : std::move(event.what), name_of<State>,
              c);
}
inline closed on(closing& state, link_failed&&, const context& c) {
  state.info.clean = false;
  return end<closed>(std::move(state.info), state.reached, c);
}
stay on(any_of<closed, failed> auto&, link_failed&&, const context&) { return {}; }

inline std::optional<closed> on(closing& state, deadline_passed&&, const context& c) {
  if (c.now < state.deadline) return std::nullopt;
  c.emit(abort_link{});
  state.info.clean = false;
  return end<closed>(std::move(state.info), state.reached, c);
}
// While connecting, the handshake's own time-out is the link's.
stay on(any_of<connecting, accepted, open, closed, failed> auto&, deadline_passed&&,
        const context&) {
  return {};
}

// --- totality -----------------------------------------------------------------------------------------------------

/// Whether exactly one rule is for this pair: with none, or with two alike, the call does not resolve.
template <class State, class Event>
concept has_rule = requires(State& state, Event&& event, const context& c) {
  on(state, std::move(event), c);
};

template <class State, class Event>
struct rule_for {
  static_assert(has_rule<State, Event>,
                "there must be exactly one rule for this state and this event");
};

template <class... Ts>
struct list {};

/// Does not build, and names the pair, if a rule is missing.
template <class... States, class... Events>
consteval bool total(std::variant<States...>*, list<Events...>) {
  const auto row = []<class State>(State*) { return (sizeof(rule_for<State, Events>) + ...) > 0; };
  return (row(static_cast<States*>(nullptr)) && ...);
}

using every_event = list<upgraded, admitted, send, send_again, received, written, ask_close,
                         peer_closed, violated, link_closed, link_failed, deadline_passed>;

}  // namespace fairlead::protocol::rules
