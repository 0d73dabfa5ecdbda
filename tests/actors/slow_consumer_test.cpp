#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "actors/caf.hpp"
#include "actors/connection_core.hpp"
#include "tests/actors/harness.hpp"

using namespace fairlead;
using namespace fairlead::test;
using protocol::connection_state;
using protocol::limit_hit;

namespace {

using results = std::vector<send_result>;
using texts = std::vector<std::string>;

/// Queues of four messages, and what acted.
struct fixture {
  std::shared_ptr<protocol::limit_hits> hits = std::make_shared<protocol::limit_hits>();
  harness h;

  explicit fixture(slow_policy policy = slow_policy::disconnect, std::size_t loops = 1)
      : h{loops, [&](actors::backbone_options& o) {
            o.hits = hits;
            o.limits.max_queued_messages = 4;
            o.limits.max_queued_bytes = 100;
            o.limits.slow_consumers = policy;
          }} {}

  harness::client stalled(std::size_t loop = 0) {
    auto c = h.open({}, loop);
    c.link->room = 0;
    return c;
  }
  /// Sends one by one, each handled before the next, and returns their outcomes.
  answers<send_result> send(const harness::client& c, const texts& what,
                            const send_options& how = {}) {
    answers<send_result> sent;
    for (const auto& t : what) {
      c.handle.send(message::text(t), how, sent.next());
      h.run();
      const auto& queued = c.handle.core()->queued();
      CHECK(queued.messages() <= 4);
      CHECK(queued.bytes() <= 100);
    }
    return sent;
  }
  [[nodiscard]] std::uint64_t count(limit_hit what) const { return hits->count(what); }
};

std::uint64_t outcomes(harness& h, const harness::client& c, send_result r) {
  return h.snapshot(c).counts.outcomes[static_cast<std::size_t>(r)];
}

texts numbered(int from, int to) {
  texts t;
  for (int i = from; i <= to; ++i) t.push_back(std::to_string(i));
  return t;
}

}  // namespace

TEST_SUITE_BEGIN("actors/slow_consumer");

// --- disconnect -----------------------------------------------------------------------------------------------------

TEST_CASE("disconnect: who would pass its limits is closed with 3008, behind what is queued") {
  fixture f;
  auto c = f.stalled();
  const auto sent = f.send(c, numbered(1, 6));
  CHECK(sent.list() == results{send_result::overflow, send_result::closing});
  CHECK(f.h.snapshot(c).state == connection_state::closing);
  c.link->kernel_takes(1000);
  f.h.run();
  CHECK(c.texts() == numbered(1, 4));
  CHECK(close_code_in(c.link->sent) == close_code::slow_consumer);
  CHECK(ends_at_its_close(c.link->sent));
  CHECK(sent.count(send_result::written) == 4);
  CHECK(sent.once_each());
  f.h.peers_answer();
  REQUIRE(f.h.closed.size() == 1);
  CHECK(f.h.closed[0].second ==
        close_info{close_code::slow_consumer, "slow", initiator::limit, true});
  CHECK(f.count(limit_hit::slow_close) == 1);
  CHECK(f.count(limit_hit::overflow) == 1);
  CHECK(f.h.log->count("connection.closed", "initiator=limit") == 1);
}

TEST_CASE("disconnect: what it gets has no gap, whatever is sent in the same moment") {
  fixture f;
  auto c = f.stalled();
  answers<send_result> sent;
  for (int i = 1; i <= 4; ++i) c.handle.send(message::text(std::to_string(i)), sent.next());
  c.handle.send(message::text("5"), sent.next());  // one too many
  f.h.loops[0]->turn();
  c.link->kernel_takes(6);  // there would be room again
  c.handle.send(message::text("6"), sent.next());
  c.handle.send(message::text("7"), {.policy = slow_policy::drop_oldest}, sent.next());
  f.h.run();
  c.link->kernel_takes(1000);
  f.h.run();
  CHECK(c.texts() == numbered(1, 4));
  CHECK(sent.count(send_result::overflow) == 1);
  CHECK(sent.count(send_result::closing) == 2);
  CHECK(outcomes(f.h, c, send_result::closing) == 2);
}

TEST_CASE(
    "disconnect: nor does anything smaller, for which there is room, slip by before the actor "
    "has heard of it") {
  fixture f;
  auto c = f.stalled();
  answers<send_result> sent;
  c.handle.send(message::text(std::string(80, 'x')), sent.next());
  c.handle.send(message::text(std::string(40, 'y')), sent.next());  // over 100 bytes
  c.handle.send(message::text("z"), sent.next());
  CHECK(sent.list() == results{send_result::overflow, send_result::closing});
  f.h.run();
  c.link->kernel_takes(1000);
  f.h.run();
  CHECK(c.texts() == texts{std::string(80, 'x')});
}

TEST_CASE("disconnect: one that never reads again is aborted at the deadline; each send is told "
          "once") {
  fixture f;
  auto c = f.stalled();
  c.link->room = 4;  // one message and a part of the next
  const auto sent = f.send(c, numbered(1, 7));
  CHECK(sent.count(send_result::written) == 1);
  f.h.advance(limits{}.close_timeout + 100ms);
  CHECK(c.link->aborted);
  CHECK(sent.once_each());
  CHECK(sent.count(send_result::failed) == 4);
  CHECK(sent.count(send_result::overflow) == 1);
  CHECK(sent.count(send_result::closing) == 1);
  CHECK(c.handle.core()->queued().messages() == 0);
  CHECK(f.h.closed_records().at(0).counts.outcomes[0] == 1);
}

TEST_CASE("disconnect: broadcasts close who does not read; the others get all of them") {
  fixture f{slow_policy::disconnect, 2};
  auto silent = f.stalled(0), also_silent = f.stalled(1);
  auto quick = f.h.open({}, 0);
  for (int i = 1; i <= 20; ++i) {
    f.h.backbone->broadcast(message::text(std::to_string(i)), {});
    if (i % 3 == 0) f.h.run();  // folded, by threes
  }
  f.h.run();
  CHECK(quick.texts() == numbered(1, 20));
  f.h.advance(limits{}.close_timeout + 100ms);
  CHECK(f.h.backbone->connection_count() == 1);
  CHECK(f.count(limit_hit::slow_close) == 2);
  for (auto& c : {silent, also_silent}) CHECK(c.link->aborted);
}

// --- the others -----------------------------------------------------------------------------------------------------

TEST_CASE("drop_newest: the connection lives, and what finds no room is refused") {
  fixture f{slow_policy::drop_newest};
  auto c = f.stalled();
  const auto sent = f.send(c, numbered(1, 6));
  c.link->kernel_takes(1000);
  f.h.run();
  CHECK(c.texts() == numbered(1, 4));
  CHECK(sent.count(send_result::overflow) == 2);
  CHECK(sent.once_each());
  CHECK(f.count(limit_hit::overflow) == 2);
  CHECK(f.count(limit_hit::slow_close) == 0);
  CHECK(f.h.send(c.handle, "goes on") == send_result::written);
}

TEST_CASE("drop_oldest: the newest are kept; what the kernel has a part of is finished") {
  fixture f{slow_policy::drop_oldest};
  auto c = f.stalled();
  c.link->room = 1;
  const auto sent = f.send(c, numbered(1, 8));
  CHECK(sent.list() == results(4, send_result::overflow));
  CHECK(f.h.log->count("send.overflow") == 1);  // once an episode
  c.link->kernel_takes(1000);
  f.h.run();
  CHECK(c.texts() == texts{"1", "6", "7", "8"});
  CHECK(sent.once_each());
  CHECK(f.count(limit_hit::dropped_oldest) == 4);
  CHECK(outcomes(f.h, c, send_result::overflow) == 4);
  CHECK(outcomes(f.h, c, send_result::written) == 4);
  CHECK(c.handle.core()->queued().messages() == 0);
}

TEST_CASE(
    "drop_oldest: a mailbox that nobody empties holds one queue more, and no more than that") {
  fixture f{slow_policy::drop_oldest};
  auto c = f.stalled();
  answers<send_result> sent;
  for (int i = 1; i <= 20; ++i) c.handle.send(message::text(std::to_string(i)), sent.next());
  CHECK(c.handle.core()->queued().messages() == 8);
  CHECK(sent.count(send_result::overflow) == 12);
  f.h.run();
  CHECK(c.handle.core()->queued().messages() == 4);
  CHECK(c.link->queued_bytes() <= 100);
  c.link->kernel_takes(1000);
  f.h.run();
  CHECK(c.texts() == numbered(5, 8));
  CHECK(sent.once_each());
}

TEST_CASE("drop_oldest: a run of folded broadcasts goes as a whole") {
  fixture f{slow_policy::drop_oldest};
  auto c = f.stalled();
  for (const auto& t : numbered(1, 3)) f.h.backbone->broadcast(message::text(t), {});
  f.h.run();
  CHECK(c.handle.core()->queued().messages() == 3);
  for (const auto& t : numbered(4, 5)) f.h.backbone->broadcast(message::text(t), {});
  f.h.run();
  c.link->kernel_takes(1000);
  f.h.run();
  CHECK(c.texts() == texts{"4", "5"});
  CHECK(outcomes(f.h, c, send_result::overflow) == 3);
}

TEST_CASE("keep_latest: a newer one replaces the queued one of its key, whether there is room or "
          "not") {
  fixture f;
  auto c = f.stalled();
  answers<send_result> sent;
  const auto say = [&](std::string_view text, send_options how = {}) {
    c.handle.send(message::text(text), std::move(how), sent.next());
  };
  say("plain");
  for (int i = 1; i <= 10; ++i) {
    say("a" + std::to_string(i), {.key = "a"});
    say("b" + std::to_string(i), {.key = "b"});
    f.h.run();
  }
  CHECK(c.handle.core()->queued().messages() == 3);
  CHECK(sent.count(send_result::overflow) == 18);
  c.link->kernel_takes(1000);
  f.h.run();
  CHECK(c.texts() == texts{"plain", "a10", "b10"});
  CHECK(sent.once_each());
  CHECK(f.count(limit_hit::replaced) == 18);
  CHECK(f.count(limit_hit::slow_close) == 0);
}

TEST_CASE("keep_latest: with a full queue and no key of its own in it, the oldest makes way") {
  fixture f{slow_policy::keep_latest};
  auto c = f.stalled();
  f.send(c, numbered(1, 4));
  f.send(c, {"k1", "k2"}, {.key = "k"});
  f.send(c, {"5"});  // no key: as drop_oldest
  c.link->kernel_takes(1000);
  f.h.run();
  CHECK(c.texts() == texts{"3", "4", "k2", "5"});
  CHECK(f.count(limit_hit::replaced) == 1);
  CHECK(f.count(limit_hit::dropped_oldest) == 2);
}

TEST_CASE(
    "a message's own policy comes before the connection's, and costs the connection nothing") {
  fixture f;
  auto c = f.stalled();
  f.send(c, numbered(1, 4));
  CHECK(f.send(c, {"x"}, {.policy = slow_policy::drop_newest}).list() ==
        results{send_result::overflow});
  CHECK(f.h.snapshot(c).state == connection_state::open);
  f.send(c, {"y"}, {.policy = slow_policy::drop_oldest});
  CHECK(f.h.snapshot(c).state == connection_state::open);
  f.send(c, {"z"}, {.policy = slow_policy::disconnect});
  CHECK(f.h.snapshot(c).state == connection_state::closing);
  c.link->kernel_takes(1000);
  f.h.run();
  CHECK(c.texts() == texts{"2", "3", "4", "y"});
}

TEST_CASE("by id, to a user and to all: options reach each queue") {
  fixture f{slow_policy::disconnect, 2};
  std::vector<harness::client> all;
  for (std::size_t i = 0; i < 4; ++i) {
    all.push_back(f.h.open(i < 2 ? "ann" : "", i % 2));
    all.back().link->room = 0;
  }
  for (int round = 1; round <= 3; ++round) {
    const auto n = std::to_string(round);
    f.h.backbone->broadcast(message::text("all" + n), {}, {.key = "all"}, nullptr);
    f.h.backbone->send_to_user("ann", message::text("ann" + n), {.key = "ann"}, nullptr);
    f.h.backbone->send(all[0].id(), message::text("id" + n), {.key = "id"}, nullptr);
    f.h.run();
  }
  for (auto& c : all) {
    c.link->kernel_takes(1000);
    f.h.run();
  }
  CHECK(all[0].texts().size() == 3);
  CHECK(all[1].texts().size() == 2);
  CHECK(all[3].texts() == texts{"all3"});
}

// --- time to live ---------------------------------------------------------------------------------------------------

TEST_CASE("ttl: what is queued longer than it may live is expired then, not at the next write") {
  fixture f;
  auto c = f.stalled();
  answers<send_result> sent;
  c.handle.send(message::text("stays"), sent.next());
  c.handle.send(message::text("goes"), {.ttl = 100ms}, sent.next());
  c.handle.send(message::text("goes later"), {.ttl = 200ms}, sent.next());
  f.h.run();
  f.h.advance(90ms);
  CHECK(sent.list().empty());
  f.h.advance(40ms);
  CHECK(sent.list() == results{send_result::expired});
  CHECK(c.handle.core()->queued().messages() == 2);  // its room is given back
  f.h.advance(100ms);
  CHECK(sent.count(send_result::expired) == 2);
  c.link->kernel_takes(1000);
  f.h.run();
  CHECK(c.texts() == texts{"stays"});
  CHECK(sent.once_each());
  CHECK(outcomes(f.h, c, send_result::expired) == 2);
  CHECK(f.count(limit_hit::expired) == 2);
  CHECK(c.handle.core()->queued().bytes() == 0);
}

TEST_CASE("ttl: a later send that expires sooner is not forgotten") {
  fixture f;
  auto c = f.stalled();
  answers<send_result> sent;
  c.handle.send(message::text("1"), {.ttl = 10s}, sent.next());
  f.h.run();
  c.handle.send(message::text("2"), {.ttl = 50ms}, sent.next());
  f.h.run();
  f.h.advance(80ms);
  CHECK(sent.list() == results{send_result::expired});
  f.h.advance(10s);
  CHECK(sent.count(send_result::expired) == 2);
}

TEST_CASE("ttl: what has begun on the wire is finished") {
  fixture f;
  auto c = f.stalled();
  c.link->room = 1;
  answers<send_result> sent;
  c.handle.send(message::text("begun"), {.ttl = 50ms}, sent.next());
  f.h.run();
  f.h.advance(200ms);
  CHECK(sent.list().empty());
  c.link->kernel_takes(1000);
  f.h.run();
  CHECK(c.texts() == texts{"begun"});
  CHECK(sent.list() == results{send_result::written});
}

TEST_CASE("ttl: what expires in the mailbox, before its actor has its turn, is not written") {
  fixture f;
  auto c = f.h.open();
  answers<send_result> sent;
  c.handle.send(message::text("late"), {.ttl = 20ms}, sent.next());
  c.handle.send(message::text("at once"), {.ttl = -1ms}, sent.next());
  c.handle.send(message::text("in time"), {.ttl = 1h}, sent.next());
  f.h.loops[0]->pass(50ms);  // and nothing turns
  f.h.run();
  CHECK(sent.count(send_result::expired) == 2);
  CHECK(c.texts() == texts{"in time"});
  CHECK(f.count(limit_hit::expired) == 2);
}

TEST_CASE(
    "ttl: a broadcast's summary counts who expired; one that nobody asks of expires as well") {
  fixture f{slow_policy::disconnect, 2};
  auto slow = f.stalled(1);
  auto quick = f.h.open({}, 0);
  answers<broadcast_summary> got;
  f.h.backbone->broadcast(message::text("asked"), {}, {.ttl = 100ms}, got.next());
  f.h.backbone->broadcast(message::text("not asked"), {}, {.ttl = 100ms}, nullptr);
  f.h.run();
  f.h.advance(150ms);
  REQUIRE(got.once_each());
  CHECK(got.list()[0].count(send_result::expired) == 1);
  CHECK(got.list()[0].count(send_result::written) == 1);
  CHECK(slow.handle.core()->queued().messages() == 0);
  CHECK(quick.texts() == texts{"asked", "not asked"});
}

TEST_CASE("ttl: no timer outlives its connection, nor is there one where nothing can expire") {
  fixture f;
  auto c = f.h.open();
  const auto timers = [&] { return f.h.loops[0]->timers(); };
  const auto before = timers();
  c.handle.send(message::text("plain"), {.policy = slow_policy::drop_newest});
  f.h.run();
  CHECK(timers() == before);
  c.handle.send(message::text("x"), {.ttl = 1h});
  f.h.run();
  CHECK(timers() == before + 1);
  c.link->fails();
  f.h.run();
  CHECK(timers() == before);
}

// --- every way to end, exactly one outcome --------------------------------------------------------------------------

TEST_CASE("each send has one outcome, on any terms, however its connection ends") {
  const std::vector<std::pair<const char*, std::function<void(fixture&, harness::client&)>>> ends{
      {"close while queued", [](auto&, auto& c) { c.handle.close(); }},
      {"reset with half a message written", [](auto&, auto& c) { c.link->fails(); }},
      {"the peer closes", [](auto&, auto& c) { c.link->peer_closes(close_code::normal); }},
      {"shutdown", [](auto& f, auto&) { f.h.stop(1s, false); }},
      {"actor crash",
       [](auto&, auto& c) {
         caf::anon_send_exit(caf::actor_cast<caf::actor>(c.handle.core()->actor),
                             caf::exit_reason::kill);
       }},
      {"overflow", [](auto& f, auto& c) { f.send(c, numbered(1, 8)); }},
  };
  for (const auto& way : ends) {
    for (const bool in_mailbox : {false, true}) {
      CAPTURE(way.first);
      CAPTURE(in_mailbox);
      fixture f;
      auto c = f.h.open();
      c.link->room = 5;  // half of the first
      answers<send_result> sent;
      answers<broadcast_summary> all;
      c.handle.send(message::text("begun here"), {.ttl = 10ms}, sent.next());
      c.handle.send(message::text("k1"), {.key = "k"}, sent.next());
      c.handle.send(message::text("k2"), {.key = "k"}, sent.next());
      f.h.backbone->broadcast(message::text("b"), {}, {.ttl = 10s, .refused_ids = 10}, all.next());
      if (!in_mailbox) f.h.run();
      way.second(f, c);
      if (f.h.backbone) {
        f.h.run();
        f.h.advance(limits{}.close_timeout + 100ms);
      }
      CHECK(sent.once_each());
      CHECK(all.once_each());
      CHECK(ends_at_its_close(c.link->sent));
      CHECK(c.handle.core()->queued().messages() == 0);
    }
  }
}

// --- who was refused ------------------------------------------------------------------------------------------------

TEST_CASE("a summary names who refused, and why, if that was asked for") {
  fixture f{slow_policy::drop_newest, 2};
  auto good = f.h.open({}, 0), full = f.stalled(1), leaving = f.h.open({}, 1);
  f.send(full, numbered(1, 4));
  leaving.handle.close();
  f.h.run();
  answers<broadcast_summary> got;
  f.h.backbone->broadcast(message::text("x"), {}, {.refused_ids = 10}, got.next());
  f.h.backbone->broadcast(message::text("x"), {}, {.refused_ids = 1}, got.next());
  f.h.backbone->broadcast(message::text("x"), {}, {}, got.next());
  f.h.run();
  REQUIRE(got.once_each());
  auto named = got.list()[0].refused_ids;
  std::ranges::sort(named, {}, &refused_send::id);
  CHECK(named == std::vector<refused_send>{{full.id(), send_result::overflow},
                                           {leaving.id(), send_result::closing}});
  for (const auto& s : got.list()) {
    CHECK(s.count(send_result::written) == 1);
    CHECK(s.refused() == 2);
  }
  CHECK(got.list()[1].refused_ids.size() == 1);
  CHECK(got.list()[2].refused_ids.empty());
}

TEST_CASE("a summary names those whose actor died with the message in its mailbox") {
  fixture f;
  auto c = f.stalled();
  answers<broadcast_summary> got;
  f.h.backbone->broadcast(message::text("x"), {}, {.refused_ids = 10}, got.next());
  f.h.run();
  c.link->fails();
  f.h.run();
  REQUIRE(got.once_each());
  CHECK(got.list()[0].refused_ids == std::vector<refused_send>{{c.id(), send_result::failed}});
}

TEST_SUITE_END();
