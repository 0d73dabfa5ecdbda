#include <array>

#include <doctest/doctest.h>

#include "tests/actors/session_harness.hpp"

using namespace fairlead;
using namespace fairlead::test;

/// How a session ends: by its time, by its owner, with the server.
TEST_SUITE_BEGIN("actors/session_end");

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
  struct way {
    std::chrono::milliseconds deadline;
    bool drains_first, all;
  };
  for (const auto& w : {way{10s, false, true}, way{1s, false, false}, way{1s, true, false},
                        way{std::chrono::milliseconds::max(), true, true}}) {
    CAPTURE(w.deadline.count());
    CAPTURE(w.drains_first);
    session_harness h{plain(), 1, [](auto& o) {
                        o.limits.max_queued_messages = 4'000, o.limits.max_queued_bytes = 1 << 24;
                      }};
    const auto s = h.spawn().session;
    if (w.drains_first) {
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
    h.stop(w.deadline);
    const auto kept = counts[static_cast<std::size_t>(emit_result::kept)];
    CHECK(kept + counts[static_cast<std::size_t>(emit_result::ended)] == 4'000);
    if (w.all)
      CHECK(kept == 4'000);
    else
      CHECK((kept >= 1'000 && kept < 2'000));
  }
}

namespace {

/// A session, and a connection whose peer does not answer a Close. When that one ends, 2,000 events are emitted that take a
/// millisecond each.
struct late_emits {
  late_emits() {
    s = h.spawn().session;
    h.open();
  }
  void emit_all() {
    for (int i = 0; i < 2'000; ++i)
      s.emit("e", "1", [this](const emit_report& r) {
        ++counts[static_cast<std::size_t>(r.result)];
        h.loops[0]->pass(1ms);
      });
  }
  [[nodiscard]] int count(emit_result r) const { return counts[static_cast<std::size_t>(r)]; }

  session s;
  std::array<int, emit_result_count> counts{};
  session_harness h{plain(), 1, [this](auto& o) {
                      o.limits.max_queued_messages = 4'000;
                      o.on_close = [this](const connection&, const close_info&) { emit_all(); };
                    }};
};

}  // namespace

TEST_CASE_FIXTURE(late_emits, "what is emitted once the deadline has passed is not waited for") {
  h.stop(1s, false);
  CHECK(count(emit_result::kept) < 1'500);
  CHECK(count(emit_result::kept) + count(emit_result::ended) == 2'000);
}

TEST_CASE_FIXTURE(late_emits,
                  "the deadline of a drain is for connections; a stop's is for sessions too") {
  h.backbone->drain(
      {.spread = 0ms, .timeout = 1s}, [] {}, [](auto) {});
  h.run();
  h.advance(500ms);
  h.stop(10s, false);
  CHECK(count(emit_result::kept) == 2'000);
}

TEST_CASE("who is told of the end may let go of the handle that asked for it") {
  session_harness h{plain()};
  auto s = std::make_unique<session>(h.spawn().session);
  s->end();
  h.run();
  s->end("again", [&](const session_end&) { s.reset(); });  // at once: it has ended
  CHECK_FALSE(s);
}

TEST_CASE("a drain whose last client leaves just before its deadline ends no session") {
  session_harness h{plain(), 2};
  const auto s = h.spawn("plain", {.id = "s"}).session;
  const auto last = h.open({}, 1);
  h.backbone->drain(
      {.spread = 0ms, .timeout = 50ms}, [] {}, [](auto) {});
  h.run();
  h.advance(40ms);
  last.link->closing_handshake_done();
  while (h.loops[1]->turn()) continue;
  h.loops[0]->tick();  // the deadline is behind the roster's word
  h.loops[0]->tick();
  h.run();
  CHECK(h.backbone->drain_state().phase == drain_phase::drained);
  CHECK(h.emit(s).result == emit_result::kept);
  CHECK(s.state() == session_state::detached);
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

TEST_SUITE_END();
