#include <doctest/doctest.h>

#include "tests/actors/harness.hpp"
#include "tests/actors/scribe.hpp"

using namespace fairlead;
using namespace fairlead::test;
using protocol::connection_state;

namespace {

std::uint64_t in_state(const actors::tree_node& n, connection_state s) {
  return n.by_state[static_cast<std::size_t>(s)];
}

std::uint64_t outcome(const protocol::traffic& t, send_result r) {
  return t.outcomes[static_cast<std::size_t>(r)];
}

}  // namespace

TEST_SUITE_BEGIN("actors/snapshot");

// --- one connection -------------------------------------------------------------------------------------------------

TEST_CASE("a snapshot tells who, since when, what is queued, what was counted and how it was last "
          "closed") {
  const auto began = protocol::wall_time{std::chrono::hours{500'000}};
  harness h{[&](auto& o) { o.wall_clock = [=] { return began; }; }};
  auto c = h.open("ada");
  c.link->peer_sends("12345");
  h.run();
  h.send(c.handle, "123");
  h.advance(100ms);
  c.link->room = 0;
  for (int i = 0; i < 3; ++i) c.handle.send(message::text("12345678"));
  h.run();

  const auto s = h.snapshot(c);
  CHECK(s.id == c.id());
  CHECK(s.state == connection_state::open);
  CHECK(s.began == began);
  CHECK(s.in_state == 100ms);
  CHECK(s.peer == "127.0.0.1:50000");
  CHECK(s.user == "ada");
  CHECK(s.target == "/ws?x=1");
  CHECK(s.mailbox == 0);
  CHECK(s.queued_messages == 3);
  CHECK(s.queued_bytes == 30);
  CHECK(s.wire_bytes == 30);
  CHECK(s.counts.messages_in == 1);
  CHECK(s.counts.bytes_in == 5);
  CHECK(outcome(s.counts, send_result::written) == 1);
  CHECK(s.counts.bytes_written == 5);
  CHECK_FALSE(s.last_close);

  h.close(c.handle, close_code::going_away, "bye");
  h.close(c.handle, close_code::normal, "again");
  const auto closing = h.snapshot(c);
  CHECK(closing.state == connection_state::closing);
  CHECK(closing.in_state == 0ms);
  REQUIRE(closing.last_close);
  CHECK(closing.last_close->reason == "again");
  CHECK(closing.last_close->result == close_result::already_closing);
  CHECK(closing.last_close->by == initiator::application);
  CHECK(closing.last_close->at == 100ms);
}

TEST_CASE("a snapshot tells what the link knows of the peer") {
  test::harness h;
  auto c = h.open();
  h.advance(5s);
  CHECK(h.snapshot(c).silent >= 5s);
  CHECK_FALSE(h.snapshot(c).round_trip.has_value());
  c.link->view = {h.loops[0]->now(), true, true, std::chrono::microseconds{77}};
  h.advance(3s);
  const auto s = h.snapshot(c);
  CHECK(s.silent >= 3s);
  CHECK(s.silent < 4s);
  CHECK(s.awaits_pong);
  CHECK(s.throttled);
  CHECK(s.round_trip == std::chrono::microseconds{77});
}

TEST_CASE("a snapshot tells how many messages a behavior has yet to handle, and that the socket is "
          "not read for it") {
  std::string user = "a";
  while (std::hash<std::string>{}(user) % 2 != 1) ++user[0];  // whose behavior is on the other loop
  scribe_book book;
  harness h{2, [&](auto& o) {
              o.limits = {.max_unhandled_messages = 3};
              o.per_user = book.per_user();
            }};
  auto c = h.open(user, 0);
  const auto look = [&] {
    answers<actors::backbone::one_snapshot> got;
    h.backbone->take_connection(c.id(), 1s, got.next());
    while (h.side->turn() || h.loops[0]->turn()) continue;
    return got.list().at(0).snapshot;
  };
  const auto say = [&](int n) {
    for (int i = 0; i < n; ++i) c.link->peer_sends("x");
  };
  say(2);
  CHECK(look().unhandled_messages == 2);
  CHECK_FALSE(look().lagging);
  say(1);
  CHECK(look().unhandled_messages == 3);
  CHECK(look().lagging);
  h.run();
  CHECK(look().unhandled_messages == 0);
  CHECK_FALSE(look().lagging);
}

TEST_CASE("a snapshot may take as long as it takes") {
  harness h;
  h.open();
  answers<server_snapshot> got;
  h.backbone->take_connections(std::chrono::milliseconds::max(), got.next());
  while (h.side->turn()) continue;
  h.side->advance(1s);
  while (h.side->turn()) continue;
  CHECK(got.list().empty());
  h.run();
  REQUIRE(got.once_each());
  CHECK(got.list()[0].connections.size() == 1);
}

TEST_CASE("a snapshot tells the bounds of the queue, as they were when it began") {
  harness h{[](auto& o) {
    o.limits = {.max_queued_messages = 7,
                .max_queued_bytes = 700,
                .slow_consumers = slow_policy::keep_latest};
  }};
  auto c = h.open();
  h.backbone->set_limits({});
  const auto s = h.snapshot(c);
  CHECK(s.max_queued_messages == 7);
  CHECK(s.max_queued_bytes == 700);
  CHECK(s.slow_consumers == slow_policy::keep_latest);
}

TEST_CASE("a snapshot of a connection that is not open yet") {
  harness h;
  const auto s = h.snapshot(h.connecting());
  CHECK(s.state == connection_state::connecting);
  CHECK(s.events.empty());
}

TEST_CASE("refusals are counted by outcome, those at enqueue included") {
  harness h{[](auto& o) {
    o.limits.max_queued_messages = 2;
    o.limits.slow_consumers = slow_policy::drop_newest;
    o.limits.max_send_size = 10;
  }};
  auto c = h.connecting();
  h.send(c.handle, "early");
  c.link->upgrade();
  h.run();
  for (int i = 0; i < 5; ++i) c.handle.send(message::text("x"));
  c.handle.send(message::text("more than ten bytes"));
  h.run();
  c.handle.close();
  c.handle.send(message::text("late"));
  h.run();
  const auto s = h.snapshot(c);
  CHECK(outcome(s.counts, send_result::connecting) == 1);
  CHECK(outcome(s.counts, send_result::written) == 2);
  CHECK(outcome(s.counts, send_result::overflow) == 3);
  CHECK(outcome(s.counts, send_result::too_large) == 1);
  CHECK(outcome(s.counts, send_result::closing) == 1);
  h.peers_answer();
  CHECK(h.closed_records().at(0).counts.outcomes == s.counts.outcomes);
}

TEST_CASE("the last 32 events, oldest first, with times") {
  harness h{[](auto& o) { o.limits.max_queued_messages = 1; }};
  auto c = h.open();
  auto names = [&] {
    std::vector<std::string> n;
    for (const auto& e : h.snapshot(c).events) n.emplace_back(e.name);
    return n;
  };
  CHECK(names() == std::vector<std::string>{"accepted", "open"});
  for (int i = 0; i < 40; ++i) {
    h.advance(10ms);
    h.close(c.handle, close_code::abnormal);  // refused, and recorded
  }
  const auto events = h.snapshot(c).events;
  REQUIRE(events.size() == 32);
  CHECK(events.front().at == 90ms);
  CHECK(events.back().at == 400ms);
  CHECK(std::string{events.front().name} == "invalid_code");
}

TEST_CASE("one connection: not found, found, or found and silent") {
  harness h;
  auto c = h.open();
  answers<actors::backbone::one_snapshot> got;
  h.backbone->take_connection(c.id(), 1s, got.next());
  h.backbone->take_connection({0, 4711}, 1s, got.next());
  h.backbone->take_connection({9, 1}, 1s, got.next());
  h.run();
  REQUIRE(got.once_each());
  CHECK(got.list()[0].answered);
  CHECK_FALSE(got.list()[1].found);
  CHECK_FALSE(got.list()[2].found);

  answers<actors::backbone::one_snapshot> silent;
  h.backbone->take_connection(c.id(), 1s, silent.next());
  h.side->run();
  h.loops[0]->run();  // the roster names it
  h.side->run();      // it is asked, and its loop does not turn
  h.side->advance(990ms);
  CHECK(silent.list().empty());
  h.side->advance(30ms);
  REQUIRE(silent.once_each());
  CHECK(silent.list()[0].found);
  CHECK_FALSE(silent.list()[0].answered);
}

TEST_CASE("one connection that ends while it is asked is not found") {
  harness h;
  auto c = h.open();
  answers<actors::backbone::one_snapshot> got;
  h.backbone->take_connection(c.id(), 1s, got.next());
  h.side->run();
  h.loops[0]->run();
  c.link->fails();
  h.side->run();
  h.run();
  REQUIRE(got.once_each());
  CHECK_FALSE(got.list()[0].found);
}

// --- all connections ------------------------------------------------------------------------------------------------

TEST_CASE("all connections of all loops, in whatever state they are") {
  harness h{2};
  h.closed_one();
  h.open({}, 0);
  h.open({}, 1);
  h.connecting({}, 1);
  h.closing();
  const auto s = h.connections();
  CHECK(s.connections.size() == 4);
  CHECK(s.unanswered.empty());
  CHECK(s.unanswered_loops.empty());
}

TEST_CASE("a loop that is stuck is listed as such at the deadline, and its neighbour answers") {
  harness h{2};
  auto quick = h.open({}, 0);
  h.open({}, 1);
  answers<server_snapshot> got;
  h.backbone->take_connections(200ms, got.next());
  for (int i = 0; i < 3; ++i) {
    h.side->run();
    h.loops[0]->run();
  }
  CHECK(got.list().empty());
  h.side->advance(220ms);
  REQUIRE(got.once_each());
  const auto s = got.list()[0];
  REQUIRE(s.connections.size() == 1);
  CHECK(s.connections[0].id == quick.id());
  CHECK(s.unanswered_loops == std::vector<std::size_t>{1});
  h.run();
  CHECK(got.once_each());  // what came too late changes nothing
  CHECK(h.side->timers() == 0);
}

TEST_CASE("connections that do not answer in time are listed; those that ended meanwhile are not") {
  harness h{2};
  auto gone = h.open({}, 0), stuck = h.open({}, 1), quick = h.open({}, 0);
  answers<server_snapshot> got;
  h.backbone->take_connections(200ms, got.next());
  h.side->run();
  for (auto& l : h.loops) l->run();
  gone.link->fails();
  h.loops[0]->run();
  h.side->run();
  h.loops[0]->run();  // and loop 1 does not turn any more
  h.side->advance(220ms);
  REQUIRE(got.once_each());
  const auto s = got.list()[0];
  CHECK(s.unanswered == std::vector{stuck.id()});
  CHECK(s.unanswered_loops.empty());
  REQUIRE(s.connections.size() == 1);
  CHECK(s.connections[0].id == quick.id());
}

// --- the tree -------------------------------------------------------------------------------------------------------

TEST_CASE("the tree: the supervisor, a roster for each loop, and how many connections are in which "
          "state") {
  scribe_book book;
  harness h{2, [&](auto& o) { o.per_user = book.per_user(); }};
  h.open("ada", 0);
  h.open("ada", 0);
  h.open("bob", 0);
  h.connecting({}, 1);
  auto closing = h.open({}, 1);
  closing.handle.close();
  h.run();
  const auto t = h.tree();
  CHECK(t.supervisor.answered);
  CHECK(t.supervisor.name == "supervisor");
  CHECK(t.supervisor.connections == 5);
  REQUIRE(t.rosters.size() == 2);
  CHECK(t.rosters[0].name == "roster-0");
  CHECK(t.rosters[0].connections == 3);
  CHECK(t.rosters[0].users == 2);
  CHECK(in_state(t.rosters[0], connection_state::open) == 3);
  CHECK(in_state(t.rosters[1], connection_state::connecting) == 1);
  CHECK(in_state(t.rosters[1], connection_state::closing) == 1);
  CHECK(t.rosters[0].behaviors + t.rosters[1].behaviors == 2);
}

TEST_CASE("counts by state return to nothing, however the connections end") {
  harness h;
  h.closed_one();
  h.failed_one();
  h.connecting().link->fails();
  h.closing().link->fails();
  h.run();
  const auto t = h.tree();
  CHECK(t.rosters[0].connections == 0);
  CHECK(t.rosters[0].by_state == std::array<std::uint64_t, 6>{});
}

TEST_CASE("a tree with a stuck loop says which") {
  harness h{2};
  answers<actors::tree_snapshot> got;
  h.backbone->take_tree(100ms, got.next());
  h.side->run();
  h.loops[0]->run();
  h.side->advance(120ms);
  REQUIRE(got.once_each());
  CHECK(got.list()[0].rosters[0].answered);
  CHECK_FALSE(got.list()[0].rosters[1].answered);
  CHECK(got.list()[0].rosters[1].name == "roster-1");
}

// --- those that ended -----------------------------------------------------------------------------------------------

TEST_CASE("the closed table: newest first, over all loops, and why each one ended") {
  protocol::wall_time now{};
  harness h{2, [&](auto& o) { o.wall_clock = [&] { return now += 1s; }; }};
  auto a = h.open("ada", 0), b = h.open("bob", 1), c = h.open("eve", 0);
  a.link->peer_closes(close_code::going_away, "tab closed");
  h.run();
  h.peers_answer();
  b.link->fails("reset");
  h.run();
  c.handle.close(close_code::policy_violation, "out");
  h.run();
  h.peers_answer();
  const auto r = h.closed_records();
  REQUIRE(r.size() == 3);
  CHECK(r[0].user == "eve");
  CHECK(r[0].info.by == initiator::application);
  CHECK(r[1].user == "bob");
  CHECK(r[1].info.reason == "reset");
  CHECK(r[1].final_state == connection_state::failed);
  CHECK(r[2].user == "ada");
  CHECK(r[2].info.code == close_code::going_away);
  CHECK(r[2].peer == "127.0.0.1:50000");
  CHECK(r[2].ended > r[2].began);
}

TEST_CASE("the closed table holds the last 1,000") {
  harness h{2};
  connection_id last;
  for (std::size_t i = 0; i < 1100; ++i) {
    auto c = h.connecting({}, i % 2);
    last = c.id();
    c.link->fails();
    h.clients.clear();
  }
  h.run();
  CHECK(h.closed_records().size() == 1000);
  CHECK(h.backbone->connection_count() == 0);
}

TEST_SUITE_END();
