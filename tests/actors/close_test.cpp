#include <doctest/doctest.h>

#include "tests/actors/harness.hpp"

using namespace fairlead;
using namespace fairlead::test;
using protocol::connection_state;

namespace {

using results = std::vector<close_result>;

constexpr auto unsendable = close_code::abnormal;  // RFC 6455 7.4.1

}  // namespace

TEST_SUITE_BEGIN("actors/close");

// --- what a request to close meets ----------------------------------------------------------------------------------

TEST_CASE("open: a close is initiated, after what is queued, with its code and reason") {
  harness h;
  auto c = h.open();
  answers<send_result> sent;
  c.handle.send(message::text("first"), sent.next());
  CHECK(h.close(c.handle, close_code::going_away, "bye") == close_result::initiated);
  const auto frames = frames_in(c.link->sent);
  REQUIRE(frames.size() == 2);
  CHECK(frames[0].payload == "first");
  CHECK(frames[1].payload == "\x03\xe9"
                             "bye");
  CHECK(sent.list() == std::vector{send_result::written});
  CHECK(h.closed.empty());
  h.peers_answer();
  REQUIRE(h.closed.size() == 1);
  CHECK(h.closed[0].second ==
        close_info{close_code::going_away, "bye", initiator::application, true});
  CHECK(h.backbone->connection_count() == 0);
}

TEST_CASE("closing: the first close stands, the second is told so") {
  harness h;
  auto c = h.open();
  CHECK(h.close(c.handle, close_code::normal, "first") == close_result::initiated);
  CHECK(h.close(c.handle, close_code::going_away, "second") == close_result::already_closing);
  CHECK(h.close(c.handle, unsendable) == close_result::already_closing);
  h.peers_answer();
  REQUIRE(h.closed.size() == 1);
  CHECK(h.closed[0].second.reason == "first");
}

TEST_CASE("closed and failed: a close is already closed") {
  harness h;
  CHECK(h.close(h.closed_one().handle) == close_result::already_closed);
  CHECK(h.close(h.failed_one().handle) == close_result::already_closed);
}

TEST_CASE("a code or reason that may not be sent is refused and changes nothing") {
  harness h;
  auto open = h.open(), young = h.connecting();
  for (auto& c : {open, young}) {
    CHECK(h.close(c.handle, unsendable) == close_result::invalid_code);
    CHECK(h.close(c.handle, close_code::no_status) == close_result::invalid_code);
    CHECK(h.close(c.handle, static_cast<close_code>(999)) == close_result::invalid_code);
    CHECK(h.close(c.handle, close_code::normal, std::string(124, 'x')) ==
          close_result::invalid_code);
    CHECK(h.close(c.handle, close_code::normal, "\xff") == close_result::invalid_code);
  }
  CHECK(h.log->count("close.refused", "outcome=invalid_code code=1006") == 2);
  CHECK(h.send(open.handle, "still open") == send_result::written);
  young.link->upgrade();
  h.run();
  CHECK(h.opened.size() == 2);
}

TEST_CASE(
    "no such connection: a default handle, an unknown id, an id that is gone, an unknown loop") {
  harness h;
  const auto gone = h.closed_one();
  CHECK(h.close(connection{}) == close_result::no_such_connection);
  CHECK(h.remove({0, 4711}) == close_result::no_such_connection);
  CHECK(h.remove(gone.id()) == close_result::no_such_connection);
  CHECK(h.remove({9, 1}) == close_result::no_such_connection);
  CHECK(h.log->count("connection.not_found", "for=remove") == 2);
}

TEST_CASE("connecting: the close waits for the handshake and the connection never opens") {
  harness h;
  auto c = h.connecting();
  CHECK(h.close(c.handle, close_code::normal, "changed my mind") == close_result::initiated);
  CHECK(c.link->sent.empty());  // nothing may overtake the 101 response
  CHECK(h.send(c.handle, "x") == send_result::closing);
  c.link->upgrade();
  h.run();
  CHECK(close_code_in(c.link->sent) == close_code::normal);
  h.peers_answer();
  CHECK(h.opened.empty());
  CHECK(h.closed.empty());  // who never heard of it is not told of its end
  const auto records = h.closed_records();
  REQUIRE(records.size() == 1);
  CHECK(records[0].reached == connection_state::connecting);
  CHECK(records[0].info.clean);
}

TEST_CASE("accepted: a close is initiated and the connection never opens") {
  harness h;
  auto c = h.connecting();
  answers<close_result> closes;
  c.link->upgrade();
  c.handle.close(close_code::normal, {}, closes.next());  // before the roster's answer
  h.run();
  h.peers_answer();
  CHECK(closes.list() == results{close_result::initiated});
  CHECK(h.opened.empty());
  CHECK(h.closed_records().at(0).reached == connection_state::accepted);
}

TEST_CASE("a close right after connect, before its actor ever ran") {
  harness h;
  auto link = std::make_shared<fake_link>();
  answers<close_result> closes;
  auto c = h.backbone->connect(0, link, {"p", "u", "/"});
  c.close(close_code::normal, {}, closes.next());
  CHECK(h.remove(c.id()) == close_result::already_closing);
  CHECK(closes.list() == results{close_result::initiated});
  link->fails();
  h.run();
  CHECK(h.backbone->connection_count() == 0);
}

// --- removal --------------------------------------------------------------------------------------------------------

TEST_CASE("remove: starts a close, and is idempotent") {
  harness h;
  auto c = h.open();
  CHECK(h.remove(c.id(), close_code::policy_violation, "out") == close_result::initiated);
  CHECK(h.remove(c.id()) == close_result::already_closing);
  CHECK(close_code_in(c.link->sent) == close_code::policy_violation);
  h.peers_answer();
  CHECK(h.remove(c.id()) == close_result::no_such_connection);
  CHECK(h.closed.at(0).second.by == initiator::application);
}

TEST_CASE("remove: any number of requests at once, one close, one answer each") {
  harness h;
  auto c = h.open();
  answers<close_result> closes;
  for (int i = 0; i < 5; ++i) {
    h.backbone->remove(c.id(), close_code::normal, {}, closes.next());
    c.handle.close(close_code::normal, {}, closes.next());
  }
  h.run();
  CHECK(closes.once_each());
  CHECK(closes.count(close_result::initiated) == 1);
  CHECK(closes.count(close_result::already_closing) == 9);
  CHECK(ends_at_its_close(c.link->sent));
}

TEST_CASE("close by user: every connection of that user on every loop, and no one else's") {
  harness h{2};
  auto a1 = h.open("ada", 0), a2 = h.open("ada", 1), b = h.open("bob", 1);
  CHECK(h.close_user("ada", close_code::policy_violation) == 2);
  CHECK(close_code_in(a1.link->sent) == close_code::policy_violation);
  CHECK(close_code_in(a2.link->sent) == close_code::policy_violation);
  CHECK(b.link->sent.empty());
  CHECK(h.close_user("ada") == 0);  // they are closing already
  CHECK(h.close_user("nobody") == 0);
  CHECK(h.close_user("bob", unsendable) == 0);
}

// --- how it ends ----------------------------------------------------------------------------------------------------

TEST_CASE("a peer that never answers is aborted at the close deadline [not in Beast 1.81]") {
  harness h{[](auto& o) { o.limits.close_timeout = 3s; }};
  auto c = h.closing();
  h.advance(2990ms);
  CHECK_FALSE(c.link->aborted);
  CHECK(h.backbone->connection_count() == 1);
  h.advance(30ms);
  CHECK(c.link->aborted);
  CHECK(h.backbone->connection_count() == 0);
  REQUIRE(h.closed.size() == 1);
  CHECK(h.closed[0].second == close_info{close_code::normal, "", initiator::application, false});
  CHECK(h.loops[0]->timers() == 0);
}

TEST_CASE("a Close that the kernel does not take has the same deadline; what was queued failed") {
  harness h;
  auto c = h.open();
  c.link->room = 0;
  answers<send_result> sent;
  c.handle.send(message::text("stuck"), sent.next());
  CHECK(h.close(c.handle) == close_result::initiated);
  h.advance(5020ms);
  CHECK(sent.list() == std::vector{send_result::failed});
  CHECK(c.link->aborted);
}

TEST_CASE("a peer that takes what is queued before the Close, however slowly, gets all of it and "
          "the Close") {
  harness h;
  auto c = h.open();
  c.link->room = 0;
  answers<send_result> sent;
  for (int i = 0; i < 20; ++i) c.handle.send(message::text(std::string(98, 'x')), sent.next());
  CHECK(h.close(c.handle, close_code::going_away) == close_result::initiated);
  for (int i = 0; i < 15; ++i) {
    h.advance(2s);
    c.link->kernel_takes(140);
    CHECK_FALSE(c.link->aborted);
  }
  CHECK(sent.count(send_result::written) == 20);
  CHECK(close_code_in(c.link->sent) == close_code::going_away);
  h.peers_answer();
  REQUIRE(h.closed.size() == 1);
  CHECK(h.closed[0].second.clean);
  CHECK(h.loops[0]->timers() == 0);
}

TEST_CASE(
    "what the kernel has taken and the peer acknowledges counts as well; a peer that then takes no "
    "more has the close deadline again") {
  harness h;
  auto c = h.open();
  c.link->unacknowledged = 5000;
  CHECK(h.close(c.handle) == close_result::initiated);
  h.advance(4s);
  c.link->unacknowledged = 4000;
  h.advance(5950ms);
  CHECK_FALSE(c.link->aborted);
  h.advance(100ms);
  CHECK(c.link->aborted);
}

TEST_CASE("what is acknowledged soon after a Close gives no more time: it was on its way") {
  harness h;
  auto c = h.open();
  c.link->unacknowledged = 5000;
  CHECK(h.close(c.handle) == close_result::initiated);
  h.advance(100ms);
  c.link->unacknowledged = 0;
  h.advance(4930ms);
  CHECK(c.link->aborted);
}

TEST_CASE("a peer that reads for ever is aborted after twelve close deadlines") {
  harness h{[](auto& o) { o.limits.close_timeout = 1s; }};
  auto c = h.open();
  c.link->unacknowledged = 5000;
  CHECK(h.close(c.handle) == close_result::initiated);
  for (int i = 0; i < 119; ++i) {
    h.advance(100ms);
    --c.link->unacknowledged;
  }
  CHECK_FALSE(c.link->aborted);
  h.advance(140ms);
  CHECK(c.link->aborted);
  CHECK(h.backbone->connection_count() == 0);
}

TEST_CASE("no timer is left behind by a close that completes") {
  harness h;
  auto c = h.closing();
  CHECK(h.loops[0]->timers() == 1);
  h.peers_answer();
  CHECK(h.loops[0]->timers() == 0);
  h.advance(10s);
  CHECK(h.closed.size() == 1);
}

TEST_CASE("the peer closes: its code and reason are what is reported") {
  harness h;
  auto c = h.open();
  c.link->peer_closes(close_code::going_away, "tab closed");
  h.run();
  CHECK(h.send(c.handle, "late") == send_result::closing);
  CHECK(h.close(c.handle) == close_result::already_closing);
  CHECK(h.closed.empty());
  c.link->closing_handshake_done();
  h.run();
  REQUIRE(h.closed.size() == 1);
  CHECK(h.closed[0].second ==
        close_info{close_code::going_away, "tab closed", initiator::peer, true});
  CHECK(ends_at_its_close(c.link->sent));
}

TEST_CASE("both sides close at once: one Close frame of ours, and the first on the wire stands") {
  SUBCASE("ours was first") {
    harness h;
    auto c = h.open();
    c.handle.close(close_code::normal, "ours");
    h.run();
    c.link->peer_closes(close_code::going_away, "theirs");
    c.link->closing_handshake_done();
    h.run();
    CHECK(h.closed.at(0).second ==
          close_info{close_code::normal, "ours", initiator::application, true});
    CHECK(ends_at_its_close(c.link->sent));
  }
  SUBCASE("theirs was answered before ours reached the actor") {
    harness h;
    auto c = h.open();
    answers<close_result> closes;
    c.link->peer_closes(close_code::going_away, "theirs");
    c.handle.close(close_code::normal, "ours", closes.next());
    h.run();
    c.link->closing_handshake_done();
    h.run();
    CHECK(closes.list() == results{close_result::already_closing});
    CHECK(h.closed.at(0).second ==
          close_info{close_code::going_away, "theirs", initiator::peer, true});
    CHECK(ends_at_its_close(c.link->sent));
  }
  SUBCASE("ours was in the mailbox, theirs on the wire already") {
    harness h;
    auto c = h.open();
    answers<close_result> closes;
    c.handle.close(close_code::normal, "ours", closes.next());
    c.link->peer_closes(close_code::going_away, "theirs");
    h.run();
    c.link->closing_handshake_done();
    h.run();
    CHECK(closes.list() == results{close_result::already_closing});
    CHECK(h.closed.at(0).second ==
          close_info{close_code::going_away, "theirs", initiator::peer, true});
    CHECK(ends_at_its_close(c.link->sent));
  }
  SUBCASE("ours was in the mailbox when the socket broke") {
    harness h;
    auto c = h.open();
    answers<close_result> closes;
    c.handle.close(close_code::normal, "ours", closes.next());
    c.link->fails();
    h.run();
    CHECK(closes.list() == results{close_result::already_closed});
    CHECK(h.closed.at(0).second.by == initiator::transport);
  }
}

TEST_CASE("the peer breaks the protocol: closed with the code that says how, and not clean") {
  harness h;
  auto c = h.open();
  c.link->violates(close_code::invalid_payload, "text that is not UTF-8");
  h.run();
  CHECK(h.send(c.handle, "late") == send_result::closing);
  c.link->closing_handshake_done();
  h.run();
  REQUIRE(h.closed.size() == 1);
  CHECK(h.closed[0].second == close_info{close_code::invalid_payload, "text that is not UTF-8",
                                         initiator::violation, false});
  CHECK(close_code_in(c.link->sent) == close_code::invalid_payload);
}

TEST_CASE("a limit is passed: closed behind what is queued, by the limit, and cleanly") {
  test::harness h;
  auto c = h.open();
  c.handle.send(message::text("before"));
  c.link->passes_limit(close_code::policy_violation, "rate");
  c.link->passes_limit(close_code::policy_violation, "rate");  // before the close has begun
  h.run();
  CHECK(c.texts() == std::vector<std::string>{"before"});
  CHECK(test::close_code_in(c.link->sent) == close_code::policy_violation);
  h.peers_answer();
  REQUIRE(h.closed.size() == 1);
  CHECK(h.closed[0].second ==
        close_info{close_code::policy_violation, "rate", initiator::limit, true});
}

TEST_CASE("the socket breaks: failed while open, not clean while closing") {
  harness h;
  auto a = h.open(), b = h.closing();
  a.link->fails("connection reset by peer");
  b.link->fails();
  h.run();
  REQUIRE(h.closed.size() == 2);
  CHECK(h.closed[0].second ==
        close_info{close_code::abnormal, "connection reset by peer", initiator::transport, false});
  CHECK(h.closed[1].second == close_info{close_code::normal, "", initiator::application, false});
  const auto records = h.closed_records();
  REQUIRE(records.size() == 2);
  CHECK(records[1].final_state == connection_state::failed);
  CHECK(records[0].final_state == connection_state::closed);
}

TEST_CASE("a handshake that fails: nobody heard of the connection") {
  harness h;
  auto c = h.connecting();
  c.link->fails("the handshake timed out");
  h.run();
  CHECK(h.opened.empty());
  CHECK(h.closed.empty());
  CHECK(h.backbone->connection_count() == 0);
  CHECK(h.closed_records().at(0).reached == connection_state::connecting);
}

// --- the log --------------------------------------------------------------------------------------------------------

TEST_CASE(
    "one line for each state, the last with code, reason, initiator and whether it was clean") {
  harness h;
  auto c = h.open("ada");
  h.close(c.handle, close_code::going_away, "bye");
  h.peers_answer();
  for (const auto* event :
       {"connection.accepted", "connection.open", "connection.closing", "connection.closed"})
    CHECK(h.log->count(event) == 1);
  CHECK(h.log->count("connection.closed", "code=1001 reason=bye initiator=application clean=1") ==
        1);
  CHECK_FALSE(h.log->has(severity::warning));
  CHECK_FALSE(h.log->has(severity::error));
}

TEST_CASE("a send after the close is a race, not a warning; an unknown id is one") {
  harness h;
  auto c = h.closing();
  h.send(c.handle, "late");
  CHECK(h.log->count("send.refused", "outcome=closing") == 1);
  h.close(c.handle);
  CHECK(h.log->count("close.refused", "outcome=already_closing code=1000") == 1);
  CHECK_FALSE(h.log->has(severity::warning));
  h.remove({0, 4711});
  CHECK(h.log->has(severity::warning));
  CHECK_FALSE(h.log->has(severity::error));
}

TEST_SUITE_END();
