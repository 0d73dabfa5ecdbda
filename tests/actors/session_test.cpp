#include <array>
#include <tuple>
#include <vector>

#include <doctest/doctest.h>

#include "actors/session_core.hpp"
#include "tests/actors/session_harness.hpp"

using namespace fairlead;
using namespace fairlead::test;

namespace {

using offsets = std::vector<std::uint64_t>;
using lines = std::vector<std::string>;

/// Writes down what it is told; throws at "throw".
struct recorder final : session_behavior {
  explicit recorder(lines& book) : book_(book) {}
  void on_start(const session& s) override { book_.push_back("start " + s.arguments()); }
  void on_attach(const session&, const connection&) override { book_.push_back("attach"); }
  void on_message(const session& s, const connection&, const message& m) override {
    book_.push_back("message " + std::string{m.view()});
    if (m.view() == "throw") throw std::runtime_error{"as asked"};
    if (m.view() == "end") s.end("said so");
    if (m.view() == "echo") s.emit("echo", "true");
    if (m.view() == "timer") s.start_timer("t", 1s);
  }
  void on_detach(const session&, const connection&, const close_info& why) override {
    book_.push_back("detach " + std::to_string(static_cast<int>(why.code)));
  }
  void on_timer(const session&, const std::string& name) override {
    book_.push_back("timer " + name);
  }
  void on_end(const session&, const session_end& why) override {
    book_.push_back("end " + std::string{to_string(why.by)});
  }
  lines& book_;
};

session_types plain(session_options o = {}) { return {{"plain", {{}, o}}}; }
session_types recorded(lines& book, session_options o = {}) {
  return {{"recorded", {[&book](const session&) { return std::make_unique<recorder>(book); }, o}}};
}

}  // namespace

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
  CHECK(s.core()->begin_end());
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

// --- tokens ---------------------------------------------------------------------------------------------------------

TEST_CASE("nobody attaches without the token, or as somebody else; the close says why") {
  session_harness h{plain()};
  const auto s = h.spawn("plain", {.id = "s", .user = "ann"});
  for (const auto& bad : {std::string{}, std::string{"guess"}, std::string(100'000, 'x'),
                          s.token.substr(1), s.token + "x"})
    CHECK(h.attach("s", bad).closed_with() == close_code::session_token);
  CHECK(h.attach("s", s.token, 0, "bob").closed_with() == close_code::session_token);
  CHECK(s.session.state() == session_state::detached);
  CHECK(h.opened.empty());
  CHECK(h.attach("s", s.token, 0, "ann").recovered());
  CHECK(h.attach("nobody", s.token).closed_with() == close_code::session_unknown);
}

TEST_CASE("a session that is no user's takes whoever has its token") {
  session_harness h{plain()};
  const auto s = h.spawn("plain", {.id = "s"});
  CHECK(h.attach("s", s.token, 0, "bob").recovered());
}

TEST_CASE("a token rotates: used up once its successor was used; one more can be issued") {
  session_harness h{plain()};
  const auto s = h.spawn("plain", {.id = "s"});
  auto a = h.attach("s", s.token);
  auto b = h.attach("s", s.token);  // its socket was lost before it read the answer
  CHECK(b.recovered());
  auto c = h.attach("s", b.token());
  CHECK(h.attach("s", s.token).closed_with() == close_code::session_token);
  std::string issued;
  s.session.issue_token([&](std::string t) { issued = std::move(t); });
  h.run();
  CHECK(h.attach("s", issued).recovered());
  s.session.end();
  s.session.issue_token([&](std::string t) { issued = std::move(t); });
  h.run();
  CHECK(issued.empty());
}

// --- several sockets ------------------------------------------------------------------------------------------------

TEST_CASE("a second socket takes over: the older one is closed, behind what it was sent") {
  session_harness h{plain()};
  const auto s = h.spawn("plain", {.id = "s"});
  auto a = h.attach("s", s.token);
  h.emit(s.session);
  auto b = h.attach("s", a.token(), 1);
  h.emit(s.session);
  CHECK(a.closed_with() == close_code::session_taken_over);
  CHECK(a.offsets() == offsets{1});
  CHECK(b.offsets() == offsets{2});
  h.peers_answer();
  CHECK(s.session.state() == session_state::attached);
}

TEST_CASE("or joins: both get everything, up to a number of sockets") {
  session_options o;
  o.on_second_socket = second_socket::joins;
  o.max_sockets = 2;
  session_harness h{plain(o), 2};
  const auto s = h.spawn("plain", {.id = "s"});
  auto a = h.attach("s", s.token, 0, {}, 0), b = h.attach("s", s.token, 0, {}, 1);
  CHECK(h.attach("s", s.token).closed_with() == close_code::session_full);
  CHECK(h.emit(s.session).result == emit_result::written);
  CHECK(a.offsets() == offsets{1});
  CHECK(b.offsets() == offsets{1});
  a.link->fails();
  h.run();
  CHECK(s.session.state() == session_state::attached);
  b.link->fails();
  h.run();
  CHECK(s.session.state() == session_state::reconnecting);
}

TEST_CASE("as many sockets as it may, also of those that come at once") {
  session_options o;
  o.on_second_socket = second_socket::joins;
  o.max_sockets = 2;
  session_harness h{plain(o), 2};
  const auto s = h.spawn("plain", {.id = "s"});
  std::vector<session_socket> all;
  for (std::size_t i = 0; i < 4; ++i) all.push_back(h.ask("s", s.token, i % 2));
  for (const auto& a : all) a.link->upgrade();
  h.run();
  CHECK(std::ranges::count(all, close_code::session_full, &session_socket::closed_with) == 2);
  CHECK(h.look("s").sockets.size() == 2);
}

TEST_CASE("where all places are taken, a client that comes back gets that of its own dead socket") {
  session_options o;
  o.on_second_socket = second_socket::joins;
  o.max_sockets = 2;
  session_harness h{plain(o)};
  const auto s = h.spawn("plain", {.id = "s"});
  auto other = h.attach("s", s.token);
  auto c = h.attach("s", s.token);
  for (int i = 0; i < 40; ++i) {
    auto again = h.attach("s", c.token());
    CHECK(again.recovered());
    CHECK(c.closed_with() == close_code::session_taken_over);
    c = again;
  }
  CHECK_FALSE(other.closed_with());
  CHECK(h.look("s").sockets.size() == 2);
  CHECK(h.attach("s", s.token).closed_with() == close_code::session_token);  // used up
}

// --- slow sockets ---------------------------------------------------------------------------------------------------

TEST_CASE(
    "a slow socket costs no more than the stream: sent on as it reads, in order, nothing lost") {
  session_options o;
  o.max_messages = 1'000;
  session_harness h{plain(o), 1, [](auto& b) {
                      b.limits.max_queued_messages = 16;
                      b.limits.slow_consumers = slow_policy::drop_oldest;  // must not make a gap
                    }};
  const auto s = h.spawn("plain", {.id = "s"});
  auto c = h.attach("s", s.token, 0, {}, 0, 0);
  for (int i = 0; i < 200; ++i) {
    s.session.emit("e", "1");
    h.run();
  }
  CHECK(h.snapshot({c.handle, c.link}).queued_messages <= 16);
  CHECK(h.look("s").sockets.front().lagging);
  for (int i = 0; i < 2'000 && c.offsets().size() < 200; ++i) {
    c.link->kernel_takes(150);
    h.run();
  }
  offsets all(200);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i + 1;
  CHECK(c.offsets() == all);
  CHECK_FALSE(c.closed_with());
}

TEST_CASE("one so slow that the stream cannot serve it is closed with 3008, and told of the gap "
          "when it comes back") {
  session_options o;
  o.max_messages = 20;
  session_harness h{plain(o), 1, [](auto& b) { b.limits.max_queued_messages = 8; }};
  const auto s = h.spawn("plain", {.id = "s"});
  auto c = h.attach("s", s.token, 0, {}, 0, 0);
  for (int i = 0; i < 40; ++i) {
    s.session.emit("e", "1");
    h.run();
  }
  c.link->kernel_takes(SIZE_MAX / 2);
  h.run();
  CHECK(c.closed_with() == close_code::slow_consumer);
  const auto seen = c.offsets();
  for (std::size_t i = 0; i < seen.size(); ++i) CHECK(seen[i] == i + 1);
  CHECK_FALSE(h.attach("s", c.token(), seen.size()).recovered());
}

// Found by the simulation, seed 132.
TEST_CASE("the end waits for no slow socket, and cuts off nothing that its queue has room for") {
  session_options o;
  o.max_messages = 1'000;
  std::uint32_t queue = 64;
  SUBCASE("all of it has room") {}
  SUBCASE("not all of it: the client is not told that it has everything") { queue = 16; }
  session_harness h{plain(o), 1, [&](auto& b) { b.limits.max_queued_messages = queue; }};
  const auto s = h.spawn("plain", {.id = "s"});
  auto c = h.attach("s", s.token, 0, {}, 0, 0);
  for (int i = 0; i < 40; ++i) {
    s.session.emit("e", "1");
    h.run();
  }
  CHECK(h.look("s").sockets.front().lagging);
  s.session.end("all done");
  h.run();
  c.link->kernel_takes(SIZE_MAX);
  h.run();
  const auto got = c.offsets();
  for (std::size_t i = 0; i < got.size(); ++i) REQUIRE(got[i] == i + 1);
  CHECK(c.closed_with() ==
        (got.size() == 40 ? close_code::session_ended : close_code::slow_consumer));
  CHECK((queue == 64) == (got.size() == 40));
}

TEST_CASE("no message of others takes the place of an event, whatever the policy") {
  for (const auto policy : {slow_policy::drop_oldest, slow_policy::keep_latest}) {
    session_harness h{{{"plain", {}}}, 1, [&](actors::backbone_options& o) {
                        o.limits.max_queued_messages = 4;
                        o.limits.slow_consumers = policy;
                      }};
    const auto made = h.spawn();
    const auto socket = h.attach(made.session.id(), made.token, 0, {}, 0, 0);
    for (int i = 0; i < 8; ++i) {
      made.session.emit("e", "1");
      h.run();
    }
    for (int i = 0; i < 8; ++i) h.backbone->broadcast(message::text("to all"), {});
    for (int i = 0; i < 8; ++i) {
      socket.link->kernel_takes(SIZE_MAX / 2);
      h.run();
    }
    CHECK(socket.hello().find("attached") != std::string::npos);
    std::vector<std::uint64_t> events;
    for (const auto offset : socket.offsets())
      if (offset > 0) events.push_back(offset);  // a broadcast has none
    // Broadcasts may leave it no room: then the socket is closed, and comes back for the rest.
    for (std::size_t n = 0; n < events.size(); ++n) CHECK(events[n] == n + 1);
    CHECK((events.size() == 8 || socket.closed_with() == close_code::slow_consumer));
  }
}

TEST_CASE("a long replay goes through a short queue") {
  session_harness h{plain(), 1, [](auto& b) { b.limits.max_queued_messages = 8; }};
  const auto s = h.spawn("plain", {.id = "s"});
  for (int i = 0; i < 500; ++i) h.emit(s.session);
  auto c = h.attach("s", s.token);
  CHECK(c.offsets().size() == 500);
  CHECK(c.offsets().back() == 500);
}

// --- limits that change, and small ones ------------------------------------------------------------------------------

TEST_CASE("an event that a socket may not take any more is a gap that is told, live and when it "
          "comes back") {
  const auto set = [](auto& h, std::size_t bytes, std::size_t message) {
    auto now = h.backbone->limits();
    now.max_queued_bytes = bytes;
    now.max_send_size = message;
    h.backbone->set_limits(now);
  };
  std::size_t queue = 1'048'576, message = 1'000'000;
  SUBCASE("a lower max_queued_bytes") { queue = 65'536; }
  SUBCASE("a lower max_send_size") { message = 65'536; }
  session_harness h{plain()};
  set(h, 1'048'576, 1'000'000);
  const auto s = h.spawn("plain", {.id = "s"});
  CHECK(h.emit(s.session, std::string(100'000, '1')).offset == 1);
  CHECK(h.emit(s.session).offset == 2);

  set(h, queue, message);
  auto c = h.attach("s", s.token);
  CHECK_FALSE(c.recovered());
  CHECK(number_in(c.hello(), "offset") == 2);
  CHECK(c.offsets().empty());
  CHECK(h.emit(s.session, std::string(100'000, '1')).result == emit_result::too_large);
  h.emit(s.session);
  CHECK(c.offsets() == offsets{3});
  auto d = h.attach("s", c.token(), 1);  // it has the large one
  CHECK(d.recovered());
  CHECK(d.offsets() == offsets{2, 3});

  set(h, 1'048'576, 1'000'000);
  CHECK(h.emit(s.session, std::string(100'000, '1')) == emit_report{emit_result::kept, 4});
  h.emit(s.session);
  CHECK(d.offsets() == offsets{2, 3});
  CHECK(d.closed_with() == close_code::slow_consumer);
  auto e = h.attach("s", d.token(), 3);
  CHECK(e.recovered());
  CHECK(e.offsets() == offsets{4, 5});
}

TEST_CASE("limits that are raised and lowered count for the next emit") {
  session_harness h{plain({.max_bytes = 4'000'000})};
  const auto s = h.spawn();
  const std::string large(1'500'000, '1');
  CHECK(h.emit(s.session, large).result == emit_result::too_large);
  auto now = h.backbone->limits();
  now.max_queued_bytes = 8'000'000;
  h.backbone->set_limits(now);
  CHECK(h.emit(s.session, large).result == emit_result::kept);
  now.max_send_size = 1'000'000;
  h.backbone->set_limits(now);
  CHECK(h.emit(s.session, large).result == emit_result::too_large);
}

TEST_CASE("an event that has no room waits for it, and closes nobody") {
  session_harness h{plain(), 2, [](auto& o) { o.limits.max_queued_bytes = 10'000; }};
  const auto s = h.spawn("plain", {.id = "s"});
  for (int i = 0; i < 3; ++i)
    CHECK(h.emit(s.session, std::string(9'000, '1')).result == emit_result::kept);
  for (const std::size_t loop : {0, 1}) {
    auto c = h.attach("s", s.token, 0, {}, loop, 0);
    h.backbone->broadcast(message::text(std::string(500, 'b')), {});
    h.run();
    for (int i = 0; i < 60; ++i) {
      c.link->kernel_takes(1'000);
      h.run();
      CHECK(h.snapshot({c.handle, c.link}).queued_bytes <= 10'000);
    }
    auto got = c.offsets();
    std::erase(got, 0U);  // the broadcast
    CHECK(got == offsets{1, 2, 3});
    CHECK_FALSE(c.closed_with());
  }
}

TEST_CASE("a queue of one message, or of two, is enough") {
  for (const std::uint32_t most : {1, 2, 3}) {
    for (const std::size_t loop : {0, 1}) {
      session_harness h{plain(), 2, [&](auto& o) { o.limits.max_queued_messages = most; }};
      const auto s = h.spawn("plain", {.id = "s"});
      for (int i = 0; i < 10; ++i) h.emit(s.session);
      auto c = h.attach("s", s.token, 0, {}, loop);
      CHECK(c.offsets().size() == 10);
      for (int i = 0; i < 10; ++i) h.emit(s.session);
      REQUIRE(c.offsets().size() == 20);
      CHECK(c.offsets().back() == 20);
      CHECK_FALSE(c.closed_with());
    }
  }
}

TEST_CASE("where even the first message has no room, the client is sent away") {
  session_harness h{plain(), 1, [](auto& o) { o.limits.max_queued_bytes = 100; }};
  const auto s = h.spawn("plain", {.id = "s"});
  const auto c = h.attach("s", s.token);
  CHECK(c.closed_with() == close_code::internal_error);
  CHECK(c.texts().empty());
  CHECK(s.session.state() == session_state::reconnecting);
}

TEST_CASE("nothing comes before the message that tells where it stands, whoever sends") {
  for (const std::size_t loop : {0, 1}) {
    session_harness h{plain(), 2};
    const auto s = h.spawn("plain", {.id = "s", .user = "ann"});
    h.emit(s.session);
    auto link = std::make_shared<fake_link>();
    actors::connection_seed seed{"127.0.0.1:1", "ann", "/ws"};
    seed.attach =
        std::make_unique<protocol::attach_request>(protocol::attach_request{"s", s.token, 0, {}});
    const auto handle = h.backbone->connect(loop, link, std::move(seed));
    answers<send_result> sent;
    answers<broadcast_summary> broadcasts;
    for (int i = 0; i < 20; ++i) {
      if (i == 3) link->upgrade();
      handle.send(message::text("by handle"), sent.next());
      h.backbone->send(handle.id(), message::text("by id"), sent.next());
      h.backbone->send_to_user("ann", message::text("to a user"), broadcasts.next());
      h.backbone->broadcast(message::text("to all"), {}, broadcasts.next());
      h.backbone->broadcast(message::text("to all, unasked"), {});
      for (auto& l : h.loops) l->turn();
      h.side->turn();
    }
    h.run();
    const auto all = texts_in(link->sent);
    REQUIRE(all.size() > 2);
    CHECK(all[0].find("attached") != std::string::npos);
    CHECK(number_in(all[1], "offset") == 1);
    CHECK(std::ranges::count(all, std::string{"to all, unasked"}) > 0);
    CHECK(sent.once_each());
    CHECK(sent.count(send_result::accepted) > 0);
    CHECK(sent.count(send_result::written) > 0);
    CHECK(broadcasts.once_each());
  }
}

// --- the end --------------------------------------------------------------------------------------------------------

TEST_CASE("the end: behind what was emitted, its clients are told, and so is who comes later") {
  session_harness h{plain()};
  const auto s = h.spawn("plain", {.id = "s"});
  auto c = h.attach("s", s.token);
  s.session.emit("e", "1");
  s.session.end("all done");
  s.session.end("again");
  h.run();
  CHECK(c.offsets() == offsets{1});
  CHECK(c.closed_with() == close_code::session_ended);
  CHECK(c.link->sent.ends_with("all done"));
  CHECK(s.session.why_ended() == session_end{session_ender::application, "all done"});
  auto late = h.attach("s", c.token());
  CHECK(late.closed_with() == close_code::session_ended);
  CHECK(late.link->sent.ends_with("all done"));
  CHECK(h.backbone->session_count() == 0);
  REQUIRE(h.backbone->ended_sessions().size() == 1);
  CHECK(h.backbone->ended_sessions().front().offset == 1);
}

TEST_CASE("time: nobody came, nobody came back, or it is too old") {
  session_options o;
  o.attach_timeout = 10s;
  o.resume_window = 20s;
  o.max_age = 60s;
  session_harness h{plain(o)};
  const auto never = h.spawn().session;
  const auto s = h.spawn("plain", {.id = "s"});
  const auto old = h.spawn("plain", {.id = "old"});
  auto c = h.attach("s", s.token), d = h.attach("old", old.token);
  h.advance(11s);
  CHECK(never.why_ended().by == session_ender::never_attached);
  c.link->fails();
  h.advance(19s);
  CHECK(s.session.state() == session_state::reconnecting);
  h.advance(2s);
  CHECK(s.session.why_ended().by == session_ender::abandoned);
  h.advance(30s);
  CHECK(old.session.why_ended().by == session_ender::age);
  CHECK(d.closed_with() == close_code::session_ended);
}

TEST_CASE("the server goes down: sessions end after their sockets, and nothing can be spawned") {
  lines book;
  session_harness h{recorded(book), 2};
  const auto s = h.spawn("recorded", {.id = "s"});
  auto c = h.attach("s", s.token);
  h.stop();
  CHECK(s.session.why_ended().by == session_ender::shutdown);
  CHECK(book == lines{"start ", "attach", "detach 1001", "end shutdown"});
  emit_report got;
  s.session.emit("e", "1", [&](auto r) { got = r; });
  CHECK(got.result == emit_result::ended);
}

TEST_CASE(
    "the server goes down: what was emitted is kept until the deadline, and refused after it") {
  for (const auto& [deadline, drains_first, all] :
       {std::tuple{10s, false, true}, {1s, false, false}, {1s, true, false}}) {
    CAPTURE(deadline.count());
    CAPTURE(drains_first);
    session_harness h{plain(), 1, [](auto& o) {
                        o.limits.max_queued_messages = 4'000, o.limits.max_queued_bytes = 1 << 24;
                      }};
    const auto s = h.spawn().session;
    if (drains_first) {
      h.backbone->drain(
          {.timeout = 10s}, [] {}, [](auto) {});
      h.run();
    }
    std::array<int, emit_result_count> counts{};
    int took = 0;
    for (int i = 0; i < 4'000; ++i)
      s.emit("e", "1", [&](const emit_report& r) {
        ++counts[static_cast<std::size_t>(r.result)];
        if (r.result == emit_result::kept && ++took % 10 == 0) h.loops[0]->tick();  // 1 ms each
      });
    h.stop(deadline);
    const auto kept = counts[static_cast<std::size_t>(emit_result::kept)];
    CHECK(kept + counts[static_cast<std::size_t>(emit_result::ended)] == 4'000);
    if (all)
      CHECK(kept == 4'000);
    else
      CHECK((kept >= 1'000 && kept < 2'000));
  }
}

TEST_CASE("what is emitted once the deadline has passed is not waited for") {
  session s;
  std::array<int, emit_result_count> counts{};
  session_harness h{plain(), 1, [&](auto& o) {
                      o.limits.max_queued_messages = 4'000;
                      o.on_close = [&](const connection&, const close_info&) {
                        for (int i = 0; i < 2'000; ++i)
                          s.emit("e", "1", [&](const emit_report& r) {
                            ++counts[static_cast<std::size_t>(r.result)];
                            h.loops[0]->pass(1ms);  // so long it takes
                          });
                      };
                    }};
  s = h.spawn().session;
  h.open();
  h.stop(1s, false);  // its peer does not answer: the deadline aborts it
  const auto kept = counts[static_cast<std::size_t>(emit_result::kept)];
  CHECK(kept < 1'500);
  CHECK(kept + counts[static_cast<std::size_t>(emit_result::ended)] == 2'000);
}

TEST_CASE("a drain: what is there goes on; nothing is spawned once nobody could attach to it") {
  session_harness h{plain()};
  const auto s = h.spawn("plain", {.id = "s"});
  auto c = h.attach("s", s.token);
  h.backbone->drain(
      {.grace = 1s, .timeout = 10s}, [] {}, [](auto) {});
  h.run();
  CHECK(h.spawn().result == spawn_result::spawned);  // during the grace everything goes on
  h.advance(1100ms);
  CHECK(c.closed_with() == close_code::service_restart);
  CHECK(h.spawn().result == spawn_result::shutting_down);
  CHECK(h.emit(s.session).result == emit_result::kept);
  CHECK(s.session.state() != session_state::ended);  // that is for the stop
}

TEST_CASE("a socket that resets between being let in and open leaves nothing behind") {
  session_harness h{plain()};
  const auto s = h.spawn("plain", {.id = "s"});
  auto link = std::make_shared<fake_link>();
  actors::connection_seed seed{"127.0.0.1:1", {}, "/ws"};
  seed.attach =
      std::make_unique<protocol::attach_request>(protocol::attach_request{"s", s.token, 0, {}});
  auto handle = h.backbone->connect(0, link, std::move(seed));
  h.run();
  link->upgrade();
  link->fails();
  h.run();
  CHECK(s.session.state() == session_state::detached);
  CHECK(h.attach("s", s.token).recovered());
}

// --- behaviours -----------------------------------------------------------------------------------------------------

TEST_CASE("a behaviour is told everything in order, and nobody else is") {
  lines book;
  session_harness h{recorded(book)};
  const auto s = h.spawn("recorded", {.id = "s", .arguments = "args"});
  auto c = h.attach("s", s.token);
  c.link->peer_sends("hello");
  c.link->peer_sends(R"({"ack":0})");
  c.link->peer_sends("echo");
  h.run();
  CHECK(c.offsets() == offsets{1});
  c.link->peer_closes(close_code::normal);
  c.link->closing_handshake_done();
  h.run();
  auto d = h.attach("s", c.token(), 1);
  d.link->peer_sends("end");
  h.run();
  CHECK(book == lines{"start args", "attach", "message hello", "message echo", "detach 1000",
                      "attach", "message end", "end application"});
  CHECK(h.messages.empty());
  CHECK(h.opened.empty());
  h.peers_answer();
  CHECK(h.closed.empty());
}

TEST_CASE("one that throws ends its session with 1011, and hurts no other") {
  lines book;
  session_harness h{recorded(book)};
  const auto s = h.spawn("recorded", {.id = "s"}), other = h.spawn("recorded", {.id = "o"});
  auto c = h.attach("s", s.token), d = h.attach("o", other.token);
  c.link->peer_sends("throw");
  h.run();
  CHECK(c.closed_with() == close_code::internal_error);
  CHECK(s.session.why_ended().by == session_ender::behavior);
  CHECK(h.emit(other.session).result == emit_result::written);
}

TEST_CASE("or restarts it: its stream and sockets stay; until it has failed too often") {
  lines book;
  session_options o;
  o.on_failure = behavior_failure::restarts;
  o.max_restarts = 2;
  session_harness h{recorded(book, o)};
  const auto s = h.spawn("recorded", {.id = "s"});
  auto c = h.attach("s", s.token);
  h.emit(s.session);
  c.link->peer_sends("throw");
  h.run();
  CHECK(h.emit(s.session).offset == 2);
  CHECK(h.look("s").restarts == 1);
  CHECK(book == lines{"start ", "attach", "message throw", "start ", "attach"});
  c.link->peer_sends("throw");
  c.link->peer_sends("throw");
  h.run();
  CHECK(s.session.why_ended().by == session_ender::behavior);
  CHECK(c.offsets() == offsets{1, 2});
}

TEST_CASE(
    "one that fails whenever it is made is made as often as it may, and that takes no more stack") {
  struct failing : session_behavior {
    void on_start(const session&) override { throw std::runtime_error{"no"}; }
  };
  int made = 0;
  std::vector<const char*> frames;
  session_types types;
  types["failing"].behavior = [&](const session&) {
    ++made;
    frames.push_back(static_cast<const char*>(__builtin_frame_address(0)));
    return std::make_unique<failing>();
  };
  types["failing"].options.on_failure = behavior_failure::restarts;
  types["failing"].options.max_restarts = 1'000;
  session_harness h{types};
  CHECK(h.spawn("failing").session.why_ended().by == session_ender::behavior);
  CHECK(made == 1'001);
  const auto [lowest, highest] = std::ranges::minmax(frames);
  CHECK(highest - lowest < 16 * 1024);
}

TEST_CASE("a factory that throws or returns null ends the session, and says so") {
  session_types types;
  types["throws"].behavior = [](const session&) -> std::unique_ptr<session_behavior> {
    throw std::runtime_error{"no"};
  };
  types["null"].behavior = [](const session&) { return nullptr; };
  session_harness h{types};
  for (const auto* type : {"throws", "null"})
    CHECK(h.spawn(type).session.why_ended().by == session_ender::behavior);
}

TEST_CASE("a wait without end is a long one") {
  lines book;
  session_harness h{recorded(book)};
  const auto s = h.spawn("recorded", {.id = "s"});
  s.session.start_timer("a", std::chrono::milliseconds::max());
  answers<emit_report> got;
  s.session.emit("e", "1", {.acked = true, .ack_timeout = std::chrono::milliseconds::max()},
                 got.next());
  h.backbone->read_inbox("s", 0, 10, std::chrono::milliseconds::max(), {}, [](auto) {});
  h.advance(60s);
  CHECK(got.list().empty());
  CHECK(book == lines{"start "});
}

TEST_CASE("timers: once, replaced by name, cancelled") {
  lines book;
  session_harness h{recorded(book)};
  const auto s = h.spawn("recorded").session;
  s.start_timer("a", 1s);
  s.start_timer("b", 1s);
  s.start_timer("a", 3s);
  s.cancel_timer("b");
  h.advance(2s);
  CHECK(book == lines{"start "});
  h.advance(10s);
  CHECK(book == lines{"start ", "timer a"});
}

TEST_CASE(
    "timers go with their behaviour: what one that failed has just set or cancelled is void") {
  /// Sets a timer and cancels one, from where it throws and from its destructor.
  struct careless final : session_behavior {
    careless(lines& book, session who) : book_(book), who_(std::move(who)) {}
    ~careless() override { who_.start_timer("set last", 1s); }
    void on_start(const session& s) override { s.start_timer("own", 1s); }
    void on_message(const session& s, const connection&, const message&) override {
      s.start_timer("set", 1s);
      s.cancel_timer("own");
      throw std::runtime_error{"as asked"};
    }
    void on_timer(const session&, const std::string& name) override { book_.push_back(name); }
    lines& book_;
    const session who_;
  };
  lines book;
  session_harness h{{{"careless",
                      {[&book](const session& s) { return std::make_unique<careless>(book, s); },
                       {.on_failure = behavior_failure::restarts}}}}};
  const auto s = h.spawn("careless", {.id = "s"});
  auto c = h.attach("s", s.token);
  c.link->peer_sends("fail");
  h.run();
  CHECK(h.look("s").restarts == 1);
  h.advance(2s);
  CHECK(book == lines{"own"});
  s.session.start_timer("from outside", 1s);
  h.advance(2s);
  CHECK(book == lines{"own", "from outside"});
}

TEST_CASE("timers are asked for within a bound: more are ignored until some were handled") {
  lines book;
  session_harness h{recorded(book)};
  const auto s = h.spawn("recorded").session;
  for (int i = 0; i < 256; ++i) s.start_timer("a", 1s);
  s.start_timer("b", 1s);
  s.cancel_timer("a");
  h.run();
  s.start_timer("c", 1s);
  h.advance(2s);
  CHECK(book == lines{"start ", "timer a", "timer c"});
}

// --- the inbox ------------------------------------------------------------------------------------------------------

TEST_CASE(
    "without a behaviour, what clients send waits in an inbox; reading on is what clears it") {
  session_harness h{plain()};
  const auto s = h.spawn("plain", {.id = "s"});
  auto c = h.attach("s", s.token);
  const auto read = [&](std::uint64_t after, std::chrono::milliseconds wait = 0ms,
                        std::string epoch = {}) {
    auto got = std::make_shared<std::vector<inbox_page>>();
    h.backbone->read_inbox("s", after, 100, wait, epoch, [got](auto p) { got->push_back(p); });
    h.run();
    return got;
  };
  CHECK(read(0)->front().messages.empty());
  c.link->peer_sends("one");
  c.link->peer_sends("two");
  h.run();
  for (int i = 0; i < 2; ++i) {  // read again: the same
    const auto page = read(0)->front();
    REQUIRE(page.messages.size() == 2);
    CHECK(page.messages[1].offset == 2);
    CHECK(page.messages[1].what.view() == "two");
  }
  const auto waiting = read(2, 10s);
  CHECK(waiting->empty());
  CHECK(h.look("s").inbox == 0);
  c.link->peer_sends("three");
  h.run();
  REQUIRE(waiting->size() == 1);
  CHECK(waiting->front().messages.front().offset == 3);
  const auto late = read(3, 10s);
  h.advance(11s);
  REQUIRE(late->size() == 1);
  CHECK(late->front().messages.empty());
  const auto over = read(3, 10s);
  s.session.end();
  h.run();
  REQUIRE(over->size() == 1);
  CHECK(over->front().ended);
  CHECK(read(0)->front().ended);

  // Another session of the same id: places in the first one's inbox are none in this one's.
  const auto epoch = late->front().epoch;
  const auto next = h.spawn("plain", {.id = "s"});
  auto d = h.attach("s", next.token);
  for (int i = 0; i < 4; ++i) d.link->peer_sends("again");
  h.run();
  CHECK(read(3, 0ms, epoch)->front().another);
  CHECK(read(5)->front().another);
  CHECK(read(5)->front().last == 4);
  const auto page = read(0, 0ms, h.look("s").epoch)->front();
  CHECK(page.messages.size() == 4);
  CHECK(page.epoch == h.look("s").epoch);
  next.session.end();
  h.run();
  CHECK(read(0)->front().unread == 4);
}

TEST_CASE("an inbox that nobody reads: the socket is not read, and goes on when there is room") {
  session_options o;
  o.max_inbox = 4;
  session_harness h{plain(o), 1, [](auto& b) { b.limits.max_unhandled_messages = 2; }};
  const auto s = h.spawn("plain", {.id = "s"});
  auto c = h.attach("s", s.token);
  for (int i = 0; i < 8 && c.link->reading; ++i) {
    c.link->peer_sends("m");
    h.run();
  }
  CHECK_FALSE(c.link->reading);
  CHECK(h.look("s").inbox < 8);
  h.backbone->read_inbox("s", 4, 100, 0ms, {}, [](auto) {});
  h.run();
  CHECK(c.link->reading);
}

TEST_CASE("no client that keeps to what is read of it loses a message to a full inbox") {
  session_options o;
  o.on_second_socket = second_socket::joins;
  o.max_inbox = 10;
  o.max_bytes = 2'000;
  session_harness h{plain(o), 1, [](auto& b) { b.limits.max_unhandled_messages = 4; }};
  const auto s = h.spawn("plain", {.id = "s"});
  std::string what = "m";
  SUBCASE("small messages") {}
  SUBCASE("large ones") { what = std::string(10'000, 'x'); }
  std::vector<session_socket> all;
  for (int i = 0; i < 8; ++i) all.push_back(h.attach("s", s.token));
  std::size_t sent = 0;
  for (bool any = true; std::exchange(any, false);)
    for (auto& c : all)
      if (c.link->reading) {
        any = true;
        ++sent;
        c.link->peer_sends(what);
        h.run();
      }
  for (auto& c : all) CHECK_FALSE(c.closed_with());
  CHECK(h.look("s").inbox == sent);
  // One that comes again and again, and sends each time, is stopped.
  std::optional<close_code> told;
  for (int i = 0; i < 100 && !told; ++i) {
    all.front().link->fails();
    h.run();
    all.front() = h.attach("s", s.token);
    while (all.front().link->reading && !told) {
      all.front().link->peer_sends(what);
      h.run();
      told = all.front().closed_with();
    }
  }
  CHECK(told == close_code::try_again_later);
}

TEST_SUITE_END();
