#include <doctest/doctest.h>

#include "actors/session_core.hpp"
#include "tests/actors/session_harness.hpp"

using namespace fairlead;
using namespace fairlead::test;

/// A session by itself: spawned, emitted to, acknowledged.
TEST_SUITE_BEGIN("actors/session");

// --- spawning -------------------------------------------------------------------------------------------------------

TEST_CASE("only registered types can be spawned; an id is unique among those that have not ended") {
  session_harness h{plain()};
  CHECK(h.spawn("other").result == spawn_result::unknown_type);
  const auto first = h.spawn("plain", {.id = "one"});
  REQUIRE(first);
  CHECK(first.session.id() == "one");
  CHECK(first.session.type() == "plain");
  CHECK(first.session.state() == session_state::detached);
  CHECK(first.token.size() == 43);
  const auto again = h.spawn("plain", {.id = "one"});
  CHECK(again.result == spawn_result::exists);
  CHECK(again.session == first.session);
  CHECK(again.token.empty());
  first.session.end();
  h.run();
  CHECK(first.session.state() == session_state::ended);
  CHECK(h.spawn("plain", {.id = "one"}));
  CHECK(h.spawn().session.id() != h.spawn().session.id());
}

TEST_CASE("what cannot be used is refused and named; so is one too many") {
  session_harness h{plain(), 1, [](auto& o) { o.limits.max_sessions = 1; }};
  CHECK(h.spawn("plain", {.id = "a b"}).problem.starts_with("id: "));
  CHECK(h.spawn("plain", {.arguments = std::string(65'537, 'x')}).result == spawn_result::invalid);
  auto bad = std::make_shared<session_options>();
  bad->max_messages = 0;
  CHECK(h.spawn("plain", {.options = bad}).problem.starts_with("max_messages: "));
  REQUIRE(h.spawn());
  CHECK(h.spawn().result == spawn_result::too_many);
}

// --- the stream -----------------------------------------------------------------------------------------------------

TEST_CASE("what is emitted before anybody is there is kept, and comes first; then it is live") {
  session_harness h{plain(), 2};
  const auto s = h.spawn("plain", {.id = "s"});
  CHECK(h.emit(s.session, R"({"n":1})") == emit_report{emit_result::kept, 1});
  CHECK(h.emit(s.session).offset == 2);
  for (const std::size_t loop : {0, 1}) {
    auto c = h.attach("s", s.token, 0, {}, loop);
    CHECK(c.recovered());
    CHECK(number_in(c.hello(), "offset") == 2 + loop);
    CHECK(h.emit(s.session) == emit_report{emit_result::written, 3 + loop});
    CHECK(c.offsets() == (loop == 0 ? offsets{1, 2, 3} : offsets{1, 2, 3, 4}));
    CHECK(c.texts()[1].starts_with(
        R"({"session":"s","offset":1,"type":"e","data":{"n":1},"time":")"));
  }
}

TEST_CASE("a socket is lost: reconnecting, kept, and the rest is sent to who comes back; no gap, "
          "no double") {
  session_harness h{plain()};
  const auto s = h.spawn("plain", {.id = "s"});
  auto c = h.attach("s", s.token);
  h.emit(s.session);
  c.link->fails();
  h.run();
  CHECK(s.session.state() == session_state::reconnecting);
  CHECK(h.emit(s.session) == emit_report{emit_result::kept, 2});
  auto d = h.attach("s", c.token(), 1);
  CHECK(s.session.state() == session_state::attached);
  h.emit(s.session);
  CHECK(c.offsets() == offsets{1});
  CHECK(d.offsets() == offsets{2, 3});
  CHECK(d.recovered());
  CHECK(h.look("s").replayed == 1);
}

TEST_CASE("a gap that cannot be filled is said, with the position, and nothing of before is sent") {
  session_options o;
  o.max_messages = 2;
  session_harness h{plain(o)};
  const auto s = h.spawn("plain", {.id = "s"});
  for (int i = 0; i < 5; ++i) h.emit(s.session);
  auto c = h.attach("s", s.token, 2);
  CHECK_FALSE(c.recovered());
  CHECK(number_in(c.hello(), "offset") == 5);
  CHECK(c.offsets().empty());
  h.emit(s.session);
  CHECK(c.offsets() == offsets{6});
  auto d = h.attach("s", c.token(), 99);  // it cannot have that
  CHECK_FALSE(d.recovered());
}

TEST_CASE("what is older than the replay window goes") {
  session_options o;
  o.replay_window = 10s;
  session_harness h{plain(o)};
  const auto s = h.spawn("plain", {.id = "s"});
  h.emit(s.session);
  h.advance(11s);
  CHECK(h.look("s").kept_messages == 0);
  CHECK_FALSE(h.attach("s", s.token).recovered());
}

TEST_CASE("emits that cannot be used are refused, each with its reason") {
  session_harness h{plain(), 1, [](auto& o) {
                      o.valid_json = [](std::string_view text) { return text != "bad"; };
                    }};
  const auto s = h.spawn().session;
  CHECK(h.emit(s, "bad").result == emit_result::invalid_data);
  CHECK(h.emit(s, std::string(300'000, '1')).result == emit_result::too_large);
  answers<emit_report> got;
  s.emit("no name", "1", got.next());
  session{}.emit("e", "1", got.next());
  h.run();
  CHECK(got.list() ==
        std::vector<emit_report>{{emit_result::invalid_data}, {emit_result::no_such_session}});
  s.end();
  h.run();
  CHECK(h.emit(s).result == emit_result::ended);
}

TEST_CASE("emits wait within a bound, and who waits in a dead mailbox is answered") {
  session_harness h{plain(), 1, [](auto& o) { o.limits.max_queued_messages = 4; }};
  const auto s = h.spawn().session;
  answers<emit_report> got;
  for (int i = 0; i < 6; ++i) s.emit("e", "1", got.next());
  h.run();
  CHECK(got.once_each());
  CHECK(got.count({emit_result::overflow}) == 2);
  s.end();
  s.emit("e", "1", got.next());
  h.run();
  CHECK(got.list().back() == emit_report{emit_result::ended});
}

TEST_CASE("requests for tokens wait within a bound, which emits do not use up") {
  session_harness h{plain(), 1, [](auto& o) { o.limits.max_queued_messages = 4; }};
  const auto s = h.spawn("plain", {.id = "s"}).session;
  for (int round = 0; round < 2; ++round) {  // what was handled makes room
    for (int i = 0; i < 5; ++i) s.emit("e", "1");
    answers<std::string> tokens;
    for (int i = 0; i < 300; ++i) s.issue_token(tokens.next());
    CHECK(tokens.list() == lines(44));  // at once, and empty
    h.run();
    CHECK(tokens.once_each());
    CHECK(tokens.count("") == 44);
    CHECK(h.attach("s", tokens.list()[255]).recovered());
  }
}

TEST_CASE("an end that is on its way is enough: a second one is no message, and emits are refused "
          "at once") {
  session_harness h{plain()};
  const auto s = h.spawn().session;
  h.emit(s);
  s.core()->begin_end();
  s.end("no message: somebody else's is on its way");
  h.run();
  CHECK(s.state() == session_state::detached);
  answers<session_end> ends;
  s.end("first", ends.next());
  s.end("second", ends.next());
  answers<emit_report> got;
  s.emit("e", "1", got.next());
  CHECK(got.list() == std::vector{emit_report{emit_result::ended}});
  CHECK(ends.list().empty());
  h.run();
  CHECK(ends.list() == std::vector(2, session_end{session_ender::application, "first"}));
}

TEST_CASE("one of a key is that one again") {
  session_harness h{plain()};
  const auto s = h.spawn().session;
  CHECK(h.emit(s, "1", {.key = "k"}) == emit_report{emit_result::kept, 1});
  CHECK(h.emit(s, "1", {.key = "k"}) == emit_report{emit_result::kept, 1, true});
  for (int i = 0; i < 256; ++i) h.emit(s, "1", {.key = std::to_string(i)});
  CHECK(h.emit(s, "1", {.key = "k"}).duplicate == false);  // it is long ago
}

// --- acknowledgements -----------------------------------------------------------------------------------------------

TEST_CASE("acked: when a client says so; for all before as well, and not for more than there is") {
  session_harness h{plain()};
  const auto s = h.spawn("plain", {.id = "s"});
  auto c = h.attach("s", s.token);
  answers<emit_report> got;
  for (int i = 0; i < 3; ++i) s.session.emit("e", "1", {.acked = true}, got.next());
  h.run();
  CHECK(got.list().empty());
  c.link->peer_sends(R"({"ack":99})");
  h.run();
  CHECK(got.list().empty());
  c.link->peer_sends(R"({"ack":2})");
  h.run();
  CHECK(got.list() == std::vector<emit_report>{{emit_result::acked, 1}, {emit_result::acked, 2}});
  CHECK(h.look("s").acked == 2);
  CHECK(h.look("s").inbox == 0);
  s.session.end();
  h.run();
  CHECK(got.list().back() == emit_report{emit_result::unacked, 3});
  CHECK(got.once_each());
}

TEST_CASE("one of a key that is asked for again with acked waits for the acknowledgement as well") {
  session_harness h{plain()};
  const auto s = h.spawn("plain", {.id = "s"});
  auto c = h.attach("s", s.token);
  const auto ask = [&](const std::string& key, answers<emit_report>& got,
                       std::chrono::milliseconds timeout = 30s) {
    s.session.emit("e", "1", {.acked = true, .ack_timeout = timeout, .key = key}, got.next());
    h.run();
  };
  answers<emit_report> first, second, late;
  ask("1", first);
  ask("2", second);
  ask("1", first);  // behind the second one in time, before it in the stream
  ask("2", late, 1s);
  CHECK(first.list().empty());
  h.advance(1100ms);
  CHECK(late.list() == std::vector<emit_report>{{emit_result::unacked, 2, true}});
  c.link->peer_sends(R"({"ack":1})");
  h.run();
  CHECK(first.list() ==
        std::vector<emit_report>{{emit_result::acked, 1}, {emit_result::acked, 1, true}});
  CHECK(second.list().empty());
  ask("1", first);  // acknowledged already
  CHECK(first.list().back() == emit_report{emit_result::acked, 1, true});
  CHECK(h.emit(s.session, "1", {.key = "1"}) == emit_report{emit_result::kept, 1, true});
  c.link->peer_sends(R"({"ack":2})");
  h.run();
  CHECK(second.list() == std::vector<emit_report>{{emit_result::acked, 2}});
  CHECK(c.offsets() == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("unacked after its time, and not before; not more than 1,024 wait") {
  session_harness h{plain()};
  const auto s = h.spawn().session;
  answers<emit_report> got;
  s.emit("e", "1", {.acked = true, .ack_timeout = 5s}, got.next());
  h.advance(4900ms);
  CHECK(got.list().empty());
  h.advance(200ms);
  CHECK(got.list() == std::vector<emit_report>{{emit_result::unacked, 1}});
  answers<emit_report> many;
  for (int i = 0; i < 1'025; ++i) s.emit("e", "1", {.acked = true}, many.next());
  h.run();
  CHECK(many.list() == std::vector<emit_report>{{emit_result::overflow}});
}

TEST_SUITE_END();
