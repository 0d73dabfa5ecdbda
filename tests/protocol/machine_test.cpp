#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <string>
#include <system_error>
#include <variant>
#include <vector>

#include <doctest/doctest.h>

#include "protocol/machine.hpp"
#include "tests/protocol/recording_receipt.hpp"

// Inside, so that `send` and `write` are the events and effects and not the system calls.
namespace fairlead::protocol::test {
using namespace std::chrono_literals;

namespace {

const time_point now{1h};
const limits bounds;
const close_info by_peer{close_code::going_away, "gone", initiator::peer, true};

const closing closing_by_peer{by_peer, now + 5s, connection_state::open};
const closed closed_by_peer{by_peer};
const failed by_reset{{close_code::abnormal, "connection reset", initiator::transport, false}};
const std::vector<state> every_state{connecting{},    accepted{},     open{},
                                     closing_by_peer, closed_by_peer, by_reset};

/// Steps once and returns the effects.
template <class Event>
effects after(state& s, Event event, const limits& with = bounds, time_point at = now) {
  effects out;
  step(s, std::move(event), with, at, out);
  return out;
}

/// The one effect there is, which must be of this type.
template <class Effect>
Effect only(const effects& out) {
  REQUIRE(out.size() == 1);
  REQUIRE(std::holds_alternative<Effect>(out.front()));
  return std::get<Effect>(out.front());
}

bool is_over(const state& s) { return kind_of(s) >= connection_state::closed; }

}  // namespace

TEST_SUITE_BEGIN("protocol/machine");

// --- becoming open ------------------------------------------------------------------------------------------------

TEST_CASE(
    "a connection becomes accepted by the upgrade and open by admission, which is announced once") {
  state s;
  CHECK(kind_of(s) == connection_state::connecting);
  CHECK(after(s, upgraded{}).empty());
  CHECK(kind_of(s) == connection_state::accepted);
  only<announce_open>(after(s, admitted{}));
  CHECK(kind_of(s) == connection_state::open);
  CHECK(after(s, admitted{}).empty());
  CHECK(after(s, upgraded{}).empty());
  CHECK(kind_of(s) == connection_state::open);
}

TEST_CASE("an upgrade that completes after a close was asked for changes nothing") {
  state s = connecting{};
  after(s, ask_close{close_code::normal, "", initiator::application});
  CHECK(after(s, upgraded{}).empty());
  CHECK(after(s, admitted{}).empty());
  CHECK(kind_of(s) == connection_state::closing);
}

// --- sends --------------------------------------------------------------------------------------------------------

TEST_CASE("a send is refused outside `open`, with the outcome that names the state") {
  const std::vector<send_result> names{send_result::connecting, send_result::accepted,
                                       send_result::written,    send_result::closing,
                                       send_result::closed,     send_result::failed};
  for (std::size_t i = 0; i < every_state.size(); ++i) {
    state s = every_state[i];
    const auto kind = kind_of(s);
    if (kind == connection_state::open) continue;
    CAPTURE(to_string(kind));
    const auto [what, asked] = with_receipt("hello");
    const auto refused = only<refuse>(after(s, send{what}));
    CHECK(refused.why == names[i]);
    CHECK(to_string(refused.why) == to_string(kind));
    CHECK(refused.what.asked == asked);  // the interpreter settles it
    CHECK(kind_of(s) == kind);
  }
}

TEST_CASE("open: a send is written and accounted until the kernel has it") {
  state s = open{};
  const auto what = text_chunk("hello");
  CHECK(only<write>(after(s, send{what})).what.storage == what.storage);
  CHECK(std::get<open>(s).queued_messages == 1);
  CHECK(std::get<open>(s).queued_bytes == 7);
  only<write>(after(s, send{run_of({"a", "b", "c"})}));
  CHECK(std::get<open>(s).queued_messages == 4);
  CHECK(std::get<open>(s).queued_bytes == 16);
  CHECK(after(s, written{1, 7}).empty());
  CHECK(std::get<open>(s).queued_messages == 3);
  CHECK(std::get<open>(s).queued_bytes == 9);
}

TEST_CASE("open: the queue's limits refuse exactly what passes them, and only that") {
  limits small = bounds;
  small.max_queued_messages = 3;
  small.max_queued_bytes = 20;
  state s = open{};
  only<write>(after(s, send{run_of({"a", "b"})}, small));
  CHECK(only<refuse>(after(s, send{run_of({"c", "d"})}, small)).why == send_result::overflow);
  CHECK(only<refuse>(after(s, send{text_chunk(std::string(13, 'x'))}, small)).why ==
        send_result::overflow);
  CHECK(std::get<open>(s).queued_messages == 2);
  CHECK(std::get<open>(s).queued_bytes == 6);
  only<write>(after(s, send{text_chunk(std::string(12, 'x'))}, small));
  CHECK(std::get<open>(s).queued_bytes == 20);
  CHECK(only<refuse>(after(s, send{text_chunk("")}, small)).why == send_result::overflow);
  after(s, written{2, 6}, small);
  only<write>(after(s, send{text_chunk("")}, small));
}

namespace {

chunk on_terms(std::string_view text, const send_options& how) {
  return as_chunk(message::text(text), std::make_shared<recording_receipt>(make_terms(how, now)));
}

}  // namespace

TEST_CASE("open: a full queue asks for room where the policy drops others, the message's before "
          "the connection's") {
  limits small = bounds;
  small.max_queued_messages = 2;
  for (const auto usual : {slow_policy::disconnect, slow_policy::drop_newest,
                           slow_policy::drop_oldest, slow_policy::keep_latest}) {
    small.slow_consumers = usual;
    const bool drops = usual >= slow_policy::drop_oldest;
    state s = open{2, 6};
    const auto met = [&](chunk what) { return after(s, send{std::move(what)}, small).front(); };
    CHECK(std::holds_alternative<make_room>(met(text_chunk("x"))) == drops);
    CHECK(std::holds_alternative<make_room>(
        met(on_terms("x", {.policy = slow_policy::drop_oldest}))));
    CHECK(std::holds_alternative<refuse>(met(on_terms("x", {.policy = slow_policy::drop_newest}))));
    // What no empty queue could hold drives out nobody.
    CHECK(std::holds_alternative<refuse>(met(run_of({"a", "b", "c"}))));
    CHECK(std::get<open>(s).queued_messages == 2);
  }
}

TEST_CASE("open: one for which room was made is written, or refused, and asks for no more") {
  limits small = bounds;
  small.max_queued_messages = 2;
  small.slow_consumers = slow_policy::drop_oldest;
  state s = open{2, 6};
  const auto what = only<make_room>(after(s, send{text_chunk("x")}, small)).what;
  CHECK(excess(s, what, small).messages == 1);
  CHECK(excess(s, what, small).bytes == 0);
  CHECK(only<refuse>(after(s, send_again{what}, small)).why == send_result::overflow);
  after(s, written{1, 3}, small);
  CHECK(excess(s, what, small).messages == 0);
  only<write>(after(s, send_again{what}, small));
  CHECK(std::get<open>(s).queued_messages == 2);
  small.max_queued_bytes = 4;
  CHECK(excess(s, what, small).bytes == 3 + 3 + 3 - 4);
  CHECK(excess(closing_by_peer, what, small).messages == 0);
}

TEST_CASE("open: a key asks to replace whatever room there is, if anything is queued at all") {
  state s = open{};
  only<write>(after(s, send{on_terms("x", {.key = "k"})}));
  only<make_room>(after(s, send{on_terms("y", {.key = "k"})}));
  only<write>(after(s, send_again{on_terms("y", {.key = "k"})}));
}

TEST_CASE("open: what has expired on its way is refused, at its time and not before") {
  state s = open{};
  const auto what = on_terms("x", {.ttl = 10ms});
  only<write>(after(s, send{what}, bounds, now + 9ms));
  CHECK(only<refuse>(after(s, send{what}, bounds, now + 10ms)).why == send_result::expired);
  CHECK(only<refuse>(after(s, send{on_terms("x", {.ttl = 0ms})})).why == send_result::expired);
}

TEST_CASE("open: a message larger than may be sent is too_large, whatever room there is") {
  limits small = bounds;
  for (const std::size_t most :
       {std::size_t{10}, std::size_t{125}, std::size_t{126}, std::size_t{65'535}}) {
    CAPTURE(most);
    small.max_send_size = most;
    state s = open{};
    only<write>(after(s, send{text_chunk(std::string(most, 'x'))}, small));
    const auto refused =
        only<refuse>(after(s, send{text_chunk(std::string(most + 1, 'x'))}, small));
    CHECK(refused.why == send_result::too_large);
    CHECK(std::get<open>(s).queued_messages == 1);
  }
  // A run of messages was checked message by message.
  small.max_send_size = 2;
  state s = open{};
  only<write>(after(s, send{run_of({"aa", "bb", "cc"})}, small));
}

TEST_CASE("outside `open` there is no account: written changes nothing") {
  for (state s : every_state) {
    const auto kind = kind_of(s);
    if (kind == connection_state::open) continue;
    CHECK(after(s, written{1, 10}).empty());
    CHECK(kind_of(s) == kind);
  }
}

TEST_CASE("a message is delivered in `open` and discarded elsewhere [RFC 6455 5.5.1: none after a "
          "Close]") {
  for (state s : every_state) {
    const auto kind = kind_of(s);
    CAPTURE(to_string(kind));
    const auto out = after(s, received{message::text("hi")});
    if (kind == connection_state::open)
      CHECK(only<deliver>(out).what.view() == "hi");
    else
      CHECK(only<discard>(out).what.view() == "hi");
    CHECK(kind_of(s) == kind);
  }
}

// --- closing ------------------------------------------------------------------------------------------------------

TEST_CASE("asking to close sends a Close, gives the handshake its time and answers initiated") {
  for (state s : {state{connecting{}}, state{accepted{}}, state{open{3, 100}}}) {
    const auto reached = kind_of(s);
    CAPTURE(to_string(reached));
    const auto out =
        after(s, ask_close{close_code::going_away, "maintenance", initiator::shutdown});
    REQUIRE(out.size() == 2);
    CHECK(std::get<send_close>(out[0]).code == close_code::going_away);
    CHECK(std::get<send_close>(out[0]).reason == "maintenance");
    CHECK(std::get<answer_close>(out[1]).result == close_result::initiated);
    const auto& in = std::get<closing>(s);
    CHECK(in.info == close_info{close_code::going_away, "maintenance", initiator::shutdown, true});
    CHECK(in.reached == reached);
    CHECK(in.deadline == now + bounds.close_timeout);
    CHECK(deadline_of(s) == in.deadline);
  }
}

TEST_CASE("a close with a code or reason that may not be sent is refused and closes nothing [RFC "
          "6455 7.4]") {
  const std::vector<ask_close> bad{
      {close_code::no_status, "", initiator::application},
      {close_code::abnormal, "", initiator::application},
      {close_code{999}, "", initiator::application},
      {close_code::normal, std::string(124, 'x'), initiator::application},
      {close_code::normal, "\xff", initiator::application}};
  for (const auto& asked : bad) {
    for (state s : {state{connecting{}}, state{accepted{}}, state{open{}}}) {
      const auto kind = kind_of(s);
      CHECK(only<answer_close>(after(s, asked)).result == close_result::invalid_code);
      CHECK(kind_of(s) == kind);
    }
  }
}

TEST_CASE("closing again is safe: the first close stands") {
  const ask_close again{close_code::normal, "again", initiator::application};
  state s = closing_by_peer;
  CHECK(only<answer_close>(after(s, again)).result == close_result::already_closing);
  CHECK(std::get<closing>(s).info == by_peer);
  CHECK(deadline_of(s) == closing_by_peer.deadline);
  for (state over : {state{closed_by_peer}, state{by_reset}}) {
    CHECK(only<answer_close>(after(over, again)).result == close_result::already_closed);
  }
}

TEST_CASE("the peer's Close needs no frame of ours: the wire answers it") {
  for (state s : {state{connecting{}}, state{accepted{}}, state{open{}}}) {
    const auto reached = kind_of(s);
    CHECK(after(s, peer_closed{close_code::no_status, ""}).empty());
    const auto& in = std::get<closing>(s);
    CHECK(in.info == close_info{close_code::no_status, "", initiator::peer, true});
    CHECK(in.reached == reached);
    CHECK(in.deadline == now + bounds.close_timeout);
  }
}

TEST_CASE("a protocol violation closes; the link queued the Close") {
  for (state s : {state{connecting{}}, state{accepted{}}, state{open{}}}) {
    CHECK(after(s, violated{close_code::protocol_error, "unmasked frame"}).empty());
    const auto& in = std::get<closing>(s);
    CHECK(in.info ==
          close_info{close_code::protocol_error, "unmasked frame", initiator::violation, false});
    CHECK(in.deadline == now + bounds.close_timeout);
  }
}

TEST_CASE("both sides close at once: the first stands, and the end is clean") {
  state s = open{};
  after(s, ask_close{close_code::normal, "ours", initiator::application});
  CHECK(after(s, peer_closed{close_code::going_away, "theirs"}).empty());
  const auto reported = only<report_closed>(after(s, link_closed{}));
  CHECK(reported.info == close_info{close_code::normal, "ours", initiator::application, true});
}

// --- the end ------------------------------------------------------------------------------------------------------

TEST_CASE("a complete closing handshake ends clean [RFC 6455 7.1.4]") {
  state s = closing_by_peer;
  const auto reported = only<report_closed>(after(s, link_closed{}));
  CHECK(reported.info == by_peer);
  CHECK(reported.reached == connection_state::open);
  CHECK(std::get<closed>(s).info == by_peer);
  CHECK(deadline_of(s) == time_point::max());
}

TEST_CASE("after a violation the end is not clean, even one during our own close") {
  for (state s : {state{open{}}, state{closing_by_peer}}) {
    after(s, violated{close_code::protocol_error, "reserved bits"});
    CHECK_FALSE(only<report_closed>(after(s, link_closed{})).info.clean);
    CHECK(kind_of(s) == connection_state::closed);
  }
}

TEST_CASE("a link that breaks fails the connection, with what went wrong") {
  for (state s : {state{connecting{}}, state{accepted{}}, state{open{}}}) {
    const auto reached = kind_of(s);
    const auto out =
        after(s, link_failed{std::make_error_code(std::errc::connection_reset), "reset by peer"});
    const auto reported = only<report_closed>(out);
    CHECK(reported.info ==
          close_info{close_code::abnormal, "reset by peer", initiator::transport, false});
    CHECK(reported.reached == reached);
    CHECK(std::get<failed>(s).info == reported.info);
  }
  state s = open{};
  const auto error = std::make_error_code(std::errc::broken_pipe);
  CHECK(only<report_closed>(after(s, link_failed{error, ""})).info.reason == error.message());
}

TEST_CASE("closing: a link that breaks ends it, unclean; who closed and why stands") {
  state s = closing_by_peer;
  const auto reported = only<report_closed>(after(s, link_failed{{}, "reset"}));
  CHECK(reported.info == close_info{by_peer.code, by_peer.reason, by_peer.by, false});
  CHECK(kind_of(s) == connection_state::closed);
}

TEST_CASE("a link that closes although nobody did is a peer that is gone") {
  for (state s : {state{connecting{}}, state{accepted{}}, state{open{}}}) {
    CHECK(only<report_closed>(after(s, link_closed{})).info.code == close_code::abnormal);
    CHECK(kind_of(s) == connection_state::failed);
  }
}

TEST_CASE("closing: at the deadline the socket is aborted, not before") {
  state s = closing_by_peer;
  CHECK(after(s, deadline_passed{}, bounds, closing_by_peer.deadline - 1ns).empty());
  CHECK(kind_of(s) == connection_state::closing);
  const auto out = after(s, deadline_passed{}, bounds, closing_by_peer.deadline);
  REQUIRE(out.size() == 2);
  CHECK(std::holds_alternative<abort_link>(out[0]));
  CHECK(std::get<report_closed>(out[1]).info ==
        close_info{by_peer.code, by_peer.reason, by_peer.by, false});
  CHECK(kind_of(s) == connection_state::closed);
}

TEST_CASE("a deadline means nothing outside `closing`") {
  for (state s : every_state) {
    const auto kind = kind_of(s);
    if (kind == connection_state::closing) continue;
    CHECK(deadline_of(s) == time_point::max());
    CHECK(after(s, deadline_passed{}, bounds, time_point::max()).empty());
    CHECK(kind_of(s) == kind);
  }
}

TEST_CASE("closed and failed are never left and report nothing more") {
  for (const state& over : {state{closed_by_peer}, state{by_reset}}) {
    const auto unchanged = [&over](auto event) {
      state s = over;
      const auto out = after(s, std::move(event), bounds, time_point::max());
      CHECK(kind_of(s) == kind_of(over));
      CHECK(is_over(s));
      for (const auto& e : out) CHECK_FALSE(std::holds_alternative<report_closed>(e));
      return out.size();
    };
    CHECK(unchanged(upgraded{}) == 0);
    CHECK(unchanged(admitted{}) == 0);
    CHECK(unchanged(written{1, 1}) == 0);
    CHECK(unchanged(peer_closed{close_code::normal, ""}) == 0);
    CHECK(unchanged(violated{close_code::protocol_error, ""}) == 0);
    CHECK(unchanged(link_closed{}) == 0);
    CHECK(unchanged(link_failed{{}, "again"}) == 0);
    CHECK(unchanged(deadline_passed{}) == 0);
    CHECK(unchanged(send{text_chunk("x")}) == 1);
    CHECK(unchanged(received{message{}}) == 1);
    CHECK(unchanged(ask_close{close_code::normal, "", initiator::application}) == 1);
  }
}

TEST_CASE("an event may be given as an lvalue: it is copied") {
  state s = open{};
  effects out;
  const send kept{text_chunk("kept")};
  send also_kept = kept;
  step(s, kept, bounds, now, out);
  step(s, also_kept, bounds, now, out);
  CHECK(out.size() == 2);
  CHECK(kept.what.storage != nullptr);
  CHECK(also_kept.what.storage != nullptr);
}

TEST_CASE("every state has a name") {
  const std::vector<std::string_view> names{"connecting", "accepted", "open",
                                            "closing",    "closed",   "failed"};
  for (std::size_t i = 0; i < every_state.size(); ++i)
    CHECK(to_string(kind_of(every_state[i])) == names[i]);
  CHECK(to_string(static_cast<connection_state>(6)) == "unknown");
}

TEST_SUITE_END();

}  // namespace fairlead::protocol::test
