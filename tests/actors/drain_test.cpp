#include <algorithm>

#include <doctest/doctest.h>

#include "tests/actors/harness.hpp"
#include "tests/actors/scribe.hpp"

using namespace fairlead;
using namespace fairlead::test;

namespace {

/// A backbone that drains, and what it said.
struct draining : harness {
  using harness::harness;
  void begin(drain_options how) {
    backbone->drain(
        std::move(how), [this] { ++closings; }, done.next());
    run();
  }
  void open_many(std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) open({}, i % loops.size());
  }
  [[nodiscard]] std::size_t told() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        clients, [](const client& c) { return close_code_in(c.link->sent).has_value(); }));
  }
  /// Lets time pass; the peers answer every 10 ms.
  void advance_politely(std::chrono::milliseconds by) {
    for (auto passed = 0ms; passed < by; passed += 10ms) {
      advance(10ms);
      peers_answer();
    }
  }
  /// Which clients were told to close, in the order in which that happened.
  std::vector<std::size_t> order(drain_options how) {
    std::vector<std::size_t> seen;
    begin(std::move(how));
    while (seen.size() < clients.size()) {
      for (std::size_t i = 0; i < clients.size(); ++i) {
        if (close_code_in(clients[i].link->sent) && std::ranges::find(seen, i) == seen.end())
          seen.push_back(i);
      }
      advance(10ms);
    }
    return seen;
  }
  answers<shutdown_summary> done;
  int closings = 0;
};

}  // namespace

TEST_SUITE_BEGIN("actors/drain");

// --- pace -----------------------------------------------------------------------------------------------------------

TEST_CASE("closes are spread: at no moment more than are due, over all loops together") {
  draining h{2};
  h.open_many(100);
  h.begin({.rate = 100, .spread = 10s, .timeout = 30s});  // a second for all of them
  CHECK(h.told() <= 4);                                   // the first step, and no more
  for (int step = 1; step <= 9; ++step) {
    h.advance(100ms);
    const auto due = static_cast<std::size_t>(step * 10);
    CHECK(h.told() >= due - 4);
    CHECK(h.told() <= due + 8);
  }
  h.advance(120ms);
  CHECK(h.told() == 100);
}

TEST_CASE("a spread that is shorter than the rate would need wins; half the time is for answers") {
  draining fast{2};
  fast.open_many(100);
  fast.begin({.rate = 1, .spread = 500ms, .timeout = 30s});
  fast.advance(300ms);
  CHECK(fast.told() >= 50);
  CHECK(fast.told() < 100);
  fast.advance(240ms);
  CHECK(fast.told() == 100);

  draining short_of_time{1};
  short_of_time.open_many(100);
  short_of_time.begin({.rate = 1, .spread = 1h, .timeout = 1s});
  short_of_time.advance(540ms);
  CHECK(short_of_time.told() == 100);
}

TEST_CASE("without a spread all are closed at once") {
  draining h{2};
  h.open_many(50);
  h.begin({.spread = 0ms});
  CHECK(h.told() == 50);
}

TEST_CASE("the order is shuffled, and the same for the same seed") {
  std::vector<std::vector<std::size_t>> orders;
  for (const std::uint64_t seed : {7, 7, 8}) {
    draining h{2};
    h.open_many(60);
    orders.push_back(h.order({.rate = 60, .timeout = 30s, .seed = seed}));
  }
  CHECK(orders[0] == orders[1]);
  CHECK(orders[0] != orders[2]);
  CHECK_FALSE(std::ranges::is_sorted(orders[0]));
}

// --- who stays is served --------------------------------------------------------------------------------------------

TEST_CASE("who has not been told to close yet goes on: it sends, it receives, broadcasts reach it; "
          "who has is refused as closing") {
  draining h;
  h.open_many(2);
  h.begin({.rate = 1, .spread = 10s, .timeout = 30s, .seed = 1});
  h.advance(1100ms);  // half of the two seconds
  REQUIRE(h.told() == 1);
  const bool first = close_code_in(h.clients[0].link->sent).has_value();
  auto& gone = h.clients[first ? 0 : 1];
  auto& here = h.clients[first ? 1 : 0];
  const auto all = h.broadcast("to who is there");
  CHECK(all.count(send_result::written) == 1);
  CHECK(all.count(send_result::closing) == 1);
  CHECK(h.send(here.handle, "x") == send_result::written);
  CHECK(h.send(gone.handle, "x") == send_result::closing);
  here.link->peer_sends("still here");
  h.run();
  CHECK(h.messages.size() == 1);
}

TEST_CASE("what is queued is written before the Close, which says 1012 and to reconnect") {
  draining h;
  auto a = h.open();
  a.link->room = 0;
  a.handle.send(message::text("queued"));
  h.backbone->broadcast(message::text("broadcast"), {});
  h.begin({});
  a.link->kernel_takes(1000);
  h.run();
  const auto frames = frames_in(a.link->sent);
  REQUIRE(frames.size() == 3);
  CHECK(frames.back().is_close());
  CHECK(close_code_in(a.link->sent) == close_code::service_restart);
  CHECK(frames.back().payload.ends_with("please reconnect"));
  CHECK(ends_at_its_close(a.link->sent));
}

// --- grace ----------------------------------------------------------------------------------------------------------

TEST_CASE("in the grace everything goes on, newcomers come in; then nobody does") {
  draining h;
  h.open();
  h.begin({.grace = 1s, .timeout = 10s});
  CHECK(h.backbone->drain_state().phase == drain_phase::grace);
  h.advance(900ms);
  CHECK(h.closings == 0);
  CHECK(h.told() == 0);
  auto late = h.open();
  CHECK(h.opened.size() == 2);
  h.advance(150ms);
  CHECK(h.closings == 1);
  CHECK(h.told() == 2);
  CHECK(h.backbone->drain_state().phase == drain_phase::closing);
  CHECK_FALSE(h.backbone->connect(0, std::make_shared<fake_link>(), {"p", {}, "/"}));
}

TEST_CASE("who is not admitted when closing begins is closed at once, not admitted later") {
  draining h;
  h.open_many(1);
  auto young = h.connecting();
  h.begin({.rate = 1, .spread = 10s, .timeout = 30s});
  young.link->upgrade();
  h.run();
  CHECK(close_code_in(young.link->sent) == close_code::service_restart);
  CHECK(h.opened.size() == 1);
}

// --- the end --------------------------------------------------------------------------------------------------------

TEST_CASE("at the deadline who is left is cut, and the summary accounts for everyone and for every "
          "message from the first close on") {
  draining h{2};
  auto polite = h.open({}, 0), silent = h.open({}, 1), stuck = h.open({}, 1);
  CHECK(h.send(polite.handle, "before the drain: not counted") == send_result::written);
  stuck.link->room = 0;
  answers<send_result> sent;
  stuck.handle.send(message::text("never taken"), sent.next());
  h.run();
  h.begin({.spread = 0ms, .timeout = 2s});
  CHECK(h.send(polite.handle, "after its close") == send_result::closing);
  polite.link->closing_handshake_done();
  h.run();
  h.advance(1980ms);
  CHECK(h.done.list().empty());
  h.advance(40ms);
  REQUIRE(h.done.once_each());
  const auto s = h.done.list()[0];
  CHECK(s.connections == 3);
  CHECK(s.closed == 1);
  CHECK(s.aborted == 2);
  CHECK(s.cut == 2);
  CHECK(s.messages_written == 0);
  CHECK(s.messages_refused == 2);
  CHECK(sent.list() == std::vector{send_result::failed});
  CHECK(silent.link->aborted);
  CHECK(stuck.link->aborted);
  CHECK(h.log->count("server.drained", "connections=3 closed=1 aborted=2 cut=2") == 1);
}

TEST_CASE("progress counts up to the end, after which nobody is let in and a stop has nothing left "
          "to do") {
  draining h{2};
  h.open_many(10);
  CHECK(h.backbone->drain_state().phase == drain_phase::serving);
  h.begin({.rate = 10, .timeout = 30s});
  h.advance_politely(500ms);
  const auto half = h.backbone->drain_state();
  CHECK(half.phase == drain_phase::closing);
  CHECK(half.connections == 10);
  CHECK(half.asked >= 4);
  CHECK(half.asked <= 6);
  CHECK(half.closed == half.asked);
  CHECK(half.left == 10 - half.closed);
  h.advance_politely(600ms);
  const auto end = h.backbone->drain_state();
  CHECK(end.phase == drain_phase::drained);
  CHECK(end.closed == 10);
  CHECK(end.left == 0);
  REQUIRE(h.done.once_each());
  CHECK_FALSE(h.backbone->connect(0, std::make_shared<fake_link>(), {"p", {}, "/"}));
  CHECK(h.tree().supervisor.answered);  // it is there until it is stopped
  const auto s = h.stop();
  CHECK(s.connections == 10);
  CHECK(s.closed == 10);
}

TEST_CASE("who answers as the deadline passes has closed, and is not counted as cut") {
  draining h;
  const auto client = h.open();
  h.begin({.spread = 0ms, .timeout = 100ms});
  for (int i = 0; i < 12; ++i) h.loops[0]->tick();
  client.link->closing_handshake_done();  // behind the deadline, ahead of what that leads to
  h.run();
  REQUIRE(h.done.once_each());
  CHECK(h.done.list()[0].closed == 1);
  CHECK(h.done.list()[0].aborted == 0);
  CHECK(h.done.list()[0].cut == 0);
}

TEST_CASE("with nobody there a drain is done at once; one that comes later is answered too") {
  draining h{3};
  h.begin({});
  CHECK(h.done.once_each());
  h.begin({});
  CHECK(h.done.once_each());
  CHECK(h.done.list().size() == 2);
}

TEST_CASE("drained again meanwhile: faster, never slower, and both are answered") {
  draining h{2};
  h.open_many(20);
  h.begin({.grace = 5s, .timeout = 10s});
  h.begin(
      {.rate = 1, .spread = 20s, .timeout = 1h});  // no further grace; the first deadline stands
  CHECK(h.closings == 2);
  h.advance(1s);
  CHECK(h.told() < 20);
  h.begin({.spread = 0ms, .timeout = 1h});
  CHECK(h.told() == 20);
  h.advance(9100ms);
  REQUIRE(h.done.once_each());
  CHECK(h.done.list().size() == 3);
}

TEST_CASE("drained again while it closes, with more time: all are told as early as they would have "
          "been, and as the newer one says") {
  draining h{2};
  h.open_many(100);
  h.begin({.rate = 100, .spread = 2s, .timeout = 30s});
  for (int step = 1; step <= 9; ++step) {
    h.advance(100ms);
    h.begin(
        {.rate = 1, .spread = 20s, .timeout = 1h, .code = close_code::going_away, .reason = "bye"});
    CHECK(h.told() >= static_cast<std::size_t>(step * 10) - 4);
    CHECK(h.told() <= static_cast<std::size_t>(step * 10) + 8);
  }
  h.advance(120ms);
  CHECK(h.told() == 100);
  CHECK(std::ranges::count_if(h.clients, [](const auto& c) {
          return close_code_in(c.link->sent) == close_code::going_away;
        }) >= 80);
}

TEST_CASE("drained again while it closes, with less time: what is left is spread over that") {
  draining h{2};
  h.open_many(100);
  h.begin({.rate = 10, .spread = 1h, .timeout = 1min});
  h.advance(1s);
  h.begin({.rate = 90, .spread = 1h, .timeout = 1min});
  CHECK(h.told() < 20);
  h.advance(500ms);
  CHECK(h.told() >= 50);
  CHECK(h.told() < 70);
  h.advance(640ms);
  CHECK(h.told() == 100);
}

TEST_CASE("drained again in the grace, with more time: closing begins at once, and all are told by "
          "when they would have been") {
  draining h{2};
  h.open_many(100);
  h.begin({.grace = 1s, .rate = 100, .spread = 10s, .timeout = 30s});
  h.advance(500ms);
  CHECK(h.told() == 0);
  h.begin({.rate = 1, .spread = 20s, .timeout = 1h});
  h.advance(700ms);
  CHECK(h.told() >= 40);
  CHECK(h.told() <= 60);
  h.advance(840ms);
  CHECK(h.told() == 100);
}

TEST_CASE("a stop amid a drain closes the rest at once, and by the earlier deadline all is over") {
  draining h{2};
  h.open_many(20);
  h.begin({.rate = 1, .spread = 20s, .timeout = 40s});
  answers<shutdown_summary> stopped;
  h.backbone->stop(1s, close_code::going_away, "now", stopped.next());
  h.run();
  CHECK(h.told() == 20);
  h.advance(1100ms);
  REQUIRE(stopped.once_each());
  CHECK(stopped.list()[0].cut == 20);
  CHECK(h.done.once_each());
}

TEST_CASE("a drain that is asked for after the end is answered with what was done") {
  draining h;
  h.open();
  answers<shutdown_summary> stopped;
  h.backbone->stop(1s, close_code::going_away, {}, stopped.next());
  h.run();
  h.peers_answer();
  REQUIRE(stopped.once_each());
  h.begin({});
  REQUIRE(h.done.once_each());
  CHECK(h.done.list()[0].closed == 1);
}

TEST_CASE("per-user actors end with the last of their connections, whichever loop that is on") {
  scribe_book book;
  draining h{2, [&](auto& o) { o.per_user = book.per_user(); }};
  for (int i = 0; i < 12; ++i) h.open("user" + std::to_string(i % 3), i % 2);
  h.begin({.rate = 12, .timeout = 30s});
  CHECK(book.alive == 3);
  h.advance_politely(1100ms);
  CHECK(h.done.once_each());
  CHECK(book.alive == 0);
}

// --- platforms, as simulations --------------------------------------------------------------------------------------

TEST_CASE("ten seconds to live: 2,000 connections, one in ten of which never answers, are told to "
          "reconnect within the first half and over before the platform kills") {
  limits bounds;
  bounds.close_timeout = 3s;
  draining h{2, [&](auto& o) { o.limits = bounds; }};
  h.open_many(2000);
  h.begin({.grace = 1s, .rate = 100, .spread = 5s, .timeout = 9s});
  for (auto passed = 0ms; h.done.list().empty(); passed += 20ms) {
    REQUIRE(passed < 9100ms);
    h.advance(20ms);
    for (std::size_t i = 0; i < h.clients.size(); ++i) {
      auto& link = h.clients[i].link;
      if (i % 10 != 0 && link->waits_for_peer()) link->closing_handshake_done();
    }
    h.run();
    if (passed == 5s) CHECK(h.told() == 2000);  // grace, and half of the rest
  }
  const auto s = h.done.list()[0];
  CHECK(s.connections == 2000);
  CHECK(s.closed == 1800);
  CHECK(s.aborted == 200);
  CHECK(s.took < 9s);
}

TEST_CASE("a request timeout that cuts every socket at the same age: each end is told as the "
          "transport's, at that age; a send meets `failed`, or `reconnecting` while a per-user "
          "actor waits, and the user's next connection is served") {
  for (const auto age : {5min, 60min}) {
    scribe_book book;
    draining h{2, [&](auto& o) {
                 o.per_user = book.per_user();
                 o.user_linger = 30s;
               }};
    h.open("ada", 0);
    h.open("bob", 1);
    h.advance(1s);
    for (auto left = std::chrono::milliseconds{age} - 1s; left > 0ms; left -= 30s) {
      h.advance(std::min<std::chrono::milliseconds>(left, 30s));
    }
    auto cut = h.clients;
    for (auto& c : cut) c.link->fails("Connection reset by peer");
    h.run();
    for (auto& c : cut) CHECK(h.send(c.handle, "x") == send_result::failed);
    CHECK(h.send_to_user("ada", "x").count(send_result::reconnecting) == 1);
    const auto ends = h.closed_records();
    REQUIRE(ends.size() == 2);
    for (const auto& e : ends) {
      CHECK(e.info.by == initiator::transport);
      CHECK(e.info.code == close_code::abnormal);
      CHECK(protocol::connection_state::failed == e.final_state);
    }
    CHECK_FALSE(h.log->has(severity::error));  // an ordinary event
    CHECK_FALSE(h.log->has(severity::warning));
    h.open("ada", 1);
    CHECK(h.send_to_user("ada", "welcome back").count(send_result::written) == 1);
    CHECK(book.made.size() == 2);  // the same actor has waited
  }
}

TEST_SUITE_END();
