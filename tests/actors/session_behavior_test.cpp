#include <doctest/doctest.h>

#include "tests/actors/session_harness.hpp"

using namespace fairlead;
using namespace fairlead::test;

/// What an embedder's behaviour is told, and the inbox of who has none.
TEST_SUITE_BEGIN("actors/session_behavior");

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

TEST_CASE(
    "a behaviour's own timers take effect at once, and are not among the requests that wait") {
  struct idle final : session_behavior {
    explicit idle(lines& b) : book(b) {}
    void on_message(const session& s, const connection&, const message& m) override {
      if (m.view() == "bye")
        CHECK(s.cancel_timer("idle"));
      else
        CHECK(s.start_timer("idle", 1s));
    }
    void on_timer(const session& s, const std::string& name) override {
      book.push_back(name);
      if (book.size() < 3) s.start_timer("again", 0ms);
    }
    lines& book;
  };
  lines book;
  session_harness h{{{"idle", {[&](const session&) { return std::make_unique<idle>(book); }, {}}}}};
  const auto s = h.spawn("idle", {.id = "s"});
  auto c = h.attach("s", s.token);
  for (int i = 0; i < 300; ++i) s.session.issue_token([](const std::string&) {});
  CHECK_FALSE(s.session.start_timer("theirs", 1s));
  c.link->peer_sends("hello");
  c.link->peer_sends("bye");
  h.run();
  h.advance(2s);
  CHECK(book.empty());
  c.link->peer_sends("hello");
  h.run();
  h.advance(2s);
  CHECK(book == lines{"idle", "again", "again"});
}

TEST_CASE(
    "what a client said before it went is heard, though it went before its session saw it open") {
  lines book;
  session_harness h{recorded(book), 2};
  const auto s = h.spawn("recorded", {.id = "s"});
  const auto on_loop_1 = [&] { h.loops[1]->run(); };  // the session's is the other one
  auto c = h.ask("s", s.token, 1);
  c.link->upgrade();
  on_loop_1();
  h.loops[0]->run();  // it is let in
  on_loop_1();
  c.link->peer_sends("last words");
  on_loop_1();
  c.link->peer_closes(close_code::normal);
  on_loop_1();
  c.link->closing_handshake_done();
  on_loop_1();
  h.run();
  CHECK(book == lines{"start ", "attach", "message last words", "detach 1000"});
  CHECK(s.session.state() == session_state::reconnecting);
  CHECK(h.emit(s.session).result == emit_result::kept);
}

TEST_CASE("timers of the function that makes a behaviour come before those of its own") {
  struct quiet final : session_behavior {
    explicit quiet(lines& b) : book(b) {}
    void on_start(const session& s) override { s.cancel_timer("t"); }
    void on_timer(const session&, const std::string& name) override { book.push_back(name); }
    lines& book;
  };
  lines book;
  session_harness h{{{"quiet",
                      {[&](const session& s) {
                         s.start_timer("t", 1s);
                         s.start_timer("u", 1s);
                         return std::make_unique<quiet>(book);
                       },
                       {}}}}};
  const auto s = h.spawn("quiet").session;
  h.advance(2s);
  CHECK(book == lines{"u"});
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
