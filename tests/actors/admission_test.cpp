#include <chrono>
#include <memory>
#include <optional>

#include <doctest/doctest.h>

#include "actors/caf_access.hpp"
#include "tests/actors/harness.hpp"
#include "tests/actors/session_harness.hpp"

using namespace fairlead;
using namespace fairlead::test;
using namespace std::chrono_literals;

namespace {

const wall_time noon{1'767'225'600s};

/// A backbone whose wall clock goes with its loops', unless somebody sets it.
struct clocked_harness {
  const std::shared_ptr<protocol::limit_hits> hits = std::make_shared<protocol::limit_hits>();
  std::chrono::milliseconds set_forward{0};
  protocol::time_point began{1h};  // a test_loop's first moment
  harness h;

  explicit clocked_harness(limits l = {})
      : h{1, [this, l](actors::backbone_options& o) {
            o.limits = l;
            o.hits = hits;
            o.wall_clock = [this] {
              return noon + set_forward +
                     std::chrono::duration_cast<wall_time::duration>(h.loops[0]->now() - began);
            };
          }} {}

  harness::client open(std::optional<wall_time> until, connection_metadata metadata = {}) {
    auto link = std::make_shared<fake_link>();
    actors::connection_seed seed{.peer = "p", .user = "ann", .target = "/ws"};
    seed.ticket = std::make_unique<protocol::admission_ticket>(
        protocol::admission_ticket{std::move(metadata), until, 7ms});
    auto handle = h.backbone->connect(0, link, std::move(seed));
    h.run();
    link->upgrade();
    h.run();
    h.clients.push_back({std::move(handle), std::move(link)});
    return h.clients.back();
  }
  void pass(std::chrono::milliseconds by) {
    h.loops[0]->pass(by);
    h.advance(20ms);
  }
  connection_state state_of(const harness::client& c) { return h.snapshot(c).state; }
};

}  // namespace

TEST_SUITE_BEGIN("actors/admission");

TEST_CASE("what an admission says is with the connection, and in its snapshot") {
  clocked_harness c;
  const auto who = c.open(noon + 1h, {{"role", "admin"}, {"team", "x"}});
  CHECK(who.handle.metadata() == connection_metadata{{"role", "admin"}, {"team", "x"}});
  CHECK(who.handle.expires_at() == noon + 1h);
  CHECK(c.h.snapshot(who).metadata == who.handle.metadata());
  CHECK(c.h.snapshot(who).expires_at == noon + 1h);
  const auto plain = c.h.open("bob");
  CHECK(plain.handle.metadata().empty());
  CHECK_FALSE(plain.handle.expires_at());
  CHECK_FALSE(c.h.snapshot(plain).expires_at);
  CHECK(connection{}.metadata().empty());
  CHECK_FALSE(connection{}.expires_at());
}

TEST_CASE("when it has expired, and the grace is over, the connection is closed with 3000") {
  clocked_harness c{{.expiry_grace = 2s}};
  const auto who = c.open(noon + 5s);
  c.h.advance(6900ms);
  CHECK(c.state_of(who) == connection_state::open);
  CHECK(c.h.send(who.handle, "still") == send_result::written);
  c.h.advance(130ms);
  CHECK(c.state_of(who) == connection_state::closing);
  CHECK(c.h.send(who.handle, "late") == send_result::closing);
  CHECK(c.hits->count(protocol::limit_hit::admission_expired) == 1);
  c.h.peers_answer();
  REQUIRE(c.h.closed.size() == 1);
  CHECK(c.h.closed[0].second ==
        close_info{close_code::unauthorized, "expired", initiator::limit, true});
  CHECK(c.h.log->count("connection.closed", "code=3000") == 1);
  CHECK_FALSE(c.h.log->has(severity::warning));
}

TEST_CASE("a grace that is set while it serves holds at once") {
  clocked_harness c{{.expiry_grace = 1h}};
  const auto soon = c.open(noon + 1s), later = c.open(noon + 30s), never = c.open(std::nullopt);
  c.h.advance(2s);
  c.h.backbone->set_limits({.expiry_grace = 500ms});
  c.h.run();
  CHECK(c.state_of(soon) == connection_state::closing);
  CHECK(c.hits->count(protocol::limit_hit::admission_expired) == 1);
  c.h.backbone->set_limits({.expiry_grace = 5s});
  c.h.advance(32s);
  CHECK(c.state_of(later) == connection_state::open);
  c.h.advance(1100ms);
  CHECK(c.state_of(later) == connection_state::closing);
  CHECK(c.state_of(never) == connection_state::open);
}

TEST_CASE("no grace; one that has expired already; one that never does; one beyond any clock") {
  clocked_harness c{{.expiry_grace = 0ms}};
  const auto strict = c.open(noon + 1s);
  const auto late = c.open(noon - 1h);
  const auto first = c.open(wall_time::min());
  const auto forever = c.open(wall_time::max());
  const auto never = c.open(std::nullopt);
  c.h.run();
  CHECK(c.state_of(strict) == connection_state::open);
  CHECK(c.state_of(late) == connection_state::closing);
  c.h.advance(1030ms);
  CHECK(c.state_of(strict) == connection_state::closing);
  CHECK(c.state_of(first) == connection_state::closing);
  c.h.advance(2s);
  CHECK(c.state_of(forever) == connection_state::open);
  CHECK(c.state_of(never) == connection_state::open);
}

TEST_CASE("the wall clock decides, also when it is set while the connection lives") {
  clocked_harness c{{.expiry_grace = 0ms}};
  const auto who = c.open(noon + 10h);
  c.set_forward = 9h + 50min;  // ten minutes are left
  c.pass(59min);
  CHECK(c.state_of(who) == connection_state::open);  // it has not been looked at again yet
  c.pass(1min + 1s);
  CHECK(c.state_of(who) == connection_state::closing);
  const auto other = c.open(noon + c.set_forward + 3h);
  c.set_forward -= 24h;  // set back: it lives as long as its time says
  for (int i = 0; i < 4; ++i) c.pass(1h);
  CHECK(c.state_of(other) == connection_state::open);
}

TEST_CASE("one that closes for another reason first is not closed again") {
  clocked_harness c{{.expiry_grace = 0ms}};
  const auto who = c.open(noon + 2s);
  CHECK(c.h.close(who.handle, close_code{4001}, "signed out") == close_result::initiated);
  c.h.advance(3s);
  c.h.peers_answer();
  REQUIRE(c.h.closed.size() == 1);
  CHECK(c.h.closed[0].second.code == close_code{4001});
  CHECK(c.hits->count(protocol::limit_hit::admission_expired) == 0);
  const auto gone = c.open(noon + 10s);
  gone.link->fails();
  c.h.run();
  c.h.advance(10s);
  CHECK(c.h.closed.size() == 2);
  CHECK(c.h.loops[0]->timers() == 0);
}

TEST_CASE("the wait for a decision is part of an admission's latency") {
  clocked_harness c;
  c.open(std::nullopt);
  actors::metrics_snapshot now;
  c.h.backbone->take_metrics(1s, [&](actors::metrics_snapshot m) { now = std::move(m); });
  c.h.run();
  REQUIRE(now.loops.size() == 1);
  const auto& admission = now.loops[0].counts.tally.admission;
  CHECK(admission.count() == 1);
  CHECK(admission.sum() >= 7ms);
}

TEST_CASE("a seat that nobody sits down on is free again") {
  harness h{[](actors::backbone_options& o) { o.limits.max_connections_per_user = 1; }};
  {
    auto seat = h.backbone->reserve("ann");
    REQUIRE(seat);
    CHECK(*seat);
    CHECK_FALSE(h.backbone->reserve("ann"));
    actors::user_seat moved{*std::move(seat)};
    CHECK_FALSE(*seat);
    CHECK_FALSE(h.backbone->reserve("ann"));
  }
  auto seat = h.backbone->reserve("ann");
  REQUIRE(seat);
  CHECK(h.backbone->reserve(""));  // the anonymous have no limit
  auto link = std::make_shared<fake_link>();
  const auto c = h.backbone->connect(
      0, link, {.peer = "p", .user = "ann", .target = "/", .seat = *std::move(seat)});
  h.run();
  CHECK_FALSE(h.backbone->reserve("ann"));  // it is the connection's now
  link->upgrade();
  link->fails();
  h.run();
  CHECK(h.backbone->reserve("ann"));
}

TEST_CASE("a seat that is refused, or for which memory runs out, is free again") {
  harness h{[](actors::backbone_options& o) { o.limits.max_connections_per_user = 1; }};
  actors::connection_seed seed{.peer = "p", .user = "ann", .target = "/"};
  seed.seat = *h.backbone->reserve("ann");
  SUBCASE("it is dropped on the way") { const auto thrown = std::move(seed); }
  SUBCASE("by name alone it is taken whatever the limit") {
    auto link = std::make_shared<fake_link>();
    CHECK(h.backbone->connect(0, link, {.peer = "p", .user = "ann", .target = "/"}));
    h.run();
    link->upgrade();
    link->fails();
    h.run();
    CHECK_FALSE(h.backbone->reserve("ann"));  // the first one is still taken
    const auto thrown = std::move(seed);
  }
  CHECK(h.backbone->reserve("ann"));
}

TEST_CASE("a roster that is lost gives back the seats of those that it knew") {
  harness h{2, [](actors::backbone_options& o) { o.limits.max_connections_per_user = 1; }};
  const auto c = h.open("ann", 1);
  CHECK_FALSE(h.backbone->reserve("ann"));
  h.broadcast("the supervisor begins to watch with its first message");
  caf::anon_send_exit(actors::caf_access::roster(*h.backbone, 1), caf::exit_reason::kill);
  h.run();
  CHECK(h.log->count("roster.lost") == 1);
  CHECK(c.link->aborted);
  CHECK(h.backbone->connection_count() == 0);
  CHECK(h.backbone->reserve("ann"));
}

TEST_CASE("an expired admission ends a session's socket, not the session") {
  session_types types;
  types["plain"] = {};
  session_harness h{types};
  const auto s = h.spawn("plain", {.id = "s"});
  auto link = std::make_shared<fake_link>();
  actors::connection_seed seed{.peer = "p", .user = {}, .target = "/ws"};
  seed.attach =
      std::make_unique<protocol::attach_request>(protocol::attach_request{"s", s.token, 0, {}});
  seed.ticket = std::make_unique<protocol::admission_ticket>(
      protocol::admission_ticket{{}, std::chrono::system_clock::now() - 1h, {}});
  const auto handle = h.backbone->connect(0, link, std::move(seed));
  h.run();
  link->upgrade();
  h.run();
  CHECK(link->waits_for_peer());
  link->closing_handshake_done();
  h.run();
  CHECK(s.session.state() != session_state::ended);
}

TEST_SUITE_END();
