#include <doctest/doctest.h>

#include "protocol/peer_watch.hpp"

using namespace fairlead;
using namespace fairlead::protocol;
using namespace std::chrono_literals;
using action = peer_watch::action;
using inflow = peer_watch::inflow;

TEST_SUITE_BEGIN("protocol/peer_watch");

namespace {

constexpr time_point start{1h};

/// A watch with its owner: the time it asks for is the time it is looked at.
struct watched_peer {
  limits bounds;
  peer_watch watch;
  time_point now = start, next = start;
  std::uint32_t spread = 0;

  watched_peer() { watch.begin(start); }

  /// The first thing that is to be done before `until`, or `nothing`, and then it is `until`.
  action first_before(time_point until) {
    while (next < until) {
      now = next;
      const auto look = watch.at(bounds, now, spread += 331);
      CHECK(look.next > now);
      next = look.next;
      if (look.what != action::nothing) return look.what;
    }
    now = until;
    return action::nothing;
  }
  void ping() { next = watch.pinged(bounds, now); }
  inflow hear(std::uint64_t bytes = 6, std::uint32_t frames = 1) {
    const auto said = watch.heard(bytes, frames, bounds, now);
    if (said != inflow::fine) next = watch.look_again(bounds, now);
    return said;
  }
};

}  // namespace

TEST_CASE("a silent peer is pinged within the interval, and given up a pong time-out later") {
  for (std::uint32_t spread = 0; spread < 2000; spread += 37) {
    watched_peer p;
    p.spread = spread;
    REQUIRE(p.first_before(start + 26s) == action::ping);
    CHECK(p.now >= start + 22500ms);
    CHECK(p.now <= start + 25s);
    p.ping();
    const auto pinged_at = p.now;
    CHECK(p.watch.awaits_pong());
    REQUIRE(p.first_before(start + 1min) == action::give_up);
    CHECK(p.now == pinged_at + 8s);
  }
}

TEST_CASE("pings are spread by chance over a tenth of the interval") {
  watched_peer p;
  const auto first = p.watch.at(p.bounds, start, 0).next;
  const auto last = p.watch.at(p.bounds, start, 1023).next;
  CHECK(first == start + 22500ms);
  CHECK(last - first > 2400ms);
  CHECK(last <= start + 25s);
}

TEST_CASE("a peer that talks is never pinged, whatever it says") {
  watched_peer p;
  for (auto at = start; at < start + 10min; at += 20s) {
    REQUIRE(p.first_before(at) == action::nothing);
    CHECK(p.hear() == inflow::fine);
  }
}

TEST_CASE("whatever comes after a ping answers it, and the next silence counts from there") {
  watched_peer p;
  REQUIRE(p.first_before(start + 1min) == action::ping);
  p.ping();
  REQUIRE(p.first_before(p.now + 7s) == action::nothing);
  CHECK(p.watch.round_trip() == std::nullopt);
  const auto heard_at = p.now;
  p.hear();
  CHECK_FALSE(p.watch.awaits_pong());
  CHECK(p.watch.last_heard() == heard_at);
  CHECK(p.watch.round_trip() == 7s);
  REQUIRE(p.first_before(start + 2min) == action::ping);
  CHECK(p.now >= heard_at + 22500ms);
  CHECK(p.now <= heard_at + 25s);
}

TEST_CASE("a ping that is put off is due again a pong time-out later, and nobody is given up") {
  watched_peer p;
  REQUIRE(p.first_before(start + 1min) == action::ping);
  const auto first = p.now;
  CHECK(p.next == first + 8s);
  CHECK(p.first_before(start + 1min) == action::ping);
  CHECK(p.now == first + 8s);
  for (int i = 0; i < 100; ++i) REQUIRE(p.first_before(start + 1h) == action::ping);
  p.ping();
  CHECK(p.first_before(start + 1h) == action::give_up);
}

TEST_CASE("idle: no message either way for so long; pings and pongs are no messages") {
  watched_peer p;
  p.bounds.idle_timeout = 5min;
  const auto live_until = [&](time_point until) {
    while (true) {
      const auto what = p.first_before(until);
      if (what != action::ping) return what;
      p.ping();
      p.hear();
    }
  };
  CHECK(live_until(start + 4min) == action::nothing);
  p.watch.talked();
  CHECK(live_until(start + 8min) == action::nothing);
  CHECK(live_until(start + 12min) == action::idle);
  // Never early; late by at most one look.
  CHECK(p.now >= start + 9min);
  CHECK(p.now <= start + 9min + 25s);
}

TEST_CASE("an idle time-out below the ping interval is kept to as well") {
  watched_peer p;
  p.bounds.idle_timeout = 3s;
  CHECK(p.first_before(start + 1min) == action::idle);
  CHECK(p.now == start + 3s);
}

TEST_CASE("a burst is let through; more is paused for as long as it takes at the rate") {
  watched_peer p;
  p.bounds.max_inbound_messages_per_second = 10;
  p.bounds.inbound_burst = 2s;
  for (int i = 0; i < 20; ++i) REQUIRE(p.hear() == inflow::fine);
  CHECK(p.hear() == inflow::pause);
  CHECK(p.watch.paused());
  CHECK(p.watch.look_again(p.bounds, p.now) == start + 100ms);
  CHECK(p.first_before(start + 1min) == action::read_on);
  CHECK(p.now == start + 100ms);
  CHECK_FALSE(p.watch.paused());
}

TEST_CASE("the same for bytes") {
  watched_peer p;
  p.bounds.max_inbound_bytes_per_second = 1000;
  p.bounds.inbound_burst = 1s;
  CHECK(p.hear(1000) == inflow::fine);
  CHECK(p.hear(500) == inflow::pause);
  CHECK(p.first_before(start + 1min) == action::read_on);
  CHECK(p.now == start + 500ms);
}

TEST_CASE("who goes on so for longer than the patience is told so; who eases off is not") {
  // Sends whenever it is read; whether it is told that it did so for too long.
  const auto flood = [](watched_peer& p, time_point until) {
    while (p.now < until) {
      auto said = inflow::fine;
      while (said == inflow::fine) said = p.hear();
      if (said == inflow::too_long) return true;
      p.first_before(until);
    }
    return false;
  };
  watched_peer p;
  p.bounds.max_inbound_messages_per_second = 10;
  p.bounds.inbound_burst = 2s;
  p.bounds.inbound_patience = 5s;
  CHECK_FALSE(flood(p, start + 4s));
  while (p.first_before(start + 8s) != action::nothing) continue;  // silence: tokens come back
  CHECK_FALSE(flood(p, start + 12s));
  CHECK(flood(p, start + 20s));
  CHECK(p.now >= start + 13s);
  CHECK(p.now <= start + 14s);
}

TEST_CASE("who has eased off begins anew, whatever it sends then; with a short burst too") {
  for (const auto burst : {2'000ms, 1ms}) {
    watched_peer p;
    p.bounds.max_inbound_messages_per_second = 1'000;
    p.bounds.inbound_burst = burst;
    p.bounds.inbound_patience = 5s;
    CHECK(p.hear(6, 3'000) == inflow::pause);
    while (p.first_before(start + 1min) != action::nothing) continue;
    CHECK(p.hear(6, 3'000) == inflow::pause);
    // A timer that is late does not mean that it has.
    for (auto said = inflow::pause; said != inflow::too_long; said = p.hear(6, 3'000)) {
      while (p.watch.paused()) p.first_before(p.next + 1ms);
      REQUIRE(p.now < start + 70s);
      p.now += 10ms;
    }
    CHECK(p.now >= start + 65s);
  }
}

TEST_CASE(
    "who keeps to its rate again has eased off, however much it talks and short its burst is") {
  watched_peer p;
  p.bounds.max_inbound_messages_per_second = 1'000;
  p.bounds.inbound_burst = 1ms;
  p.bounds.inbound_patience = 5s;
  CHECK(p.hear(6, 100) == inflow::pause);
  while (p.now < start + 1min) {
    while (p.first_before(p.now + 10ms) != action::nothing) continue;
    if (!p.watch.paused()) REQUIRE(p.hear() == inflow::fine);
  }
  CHECK(p.hear(6, 100) == inflow::pause);
}

TEST_CASE("a ping between two bursts does not make one of them") {
  watched_peer p;
  p.bounds.max_inbound_messages_per_second = 1'000;
  p.bounds.inbound_burst = 10s;
  p.bounds.inbound_patience = 5s;
  p.bounds.ping_interval = 4s;
  CHECK(p.hear(6, 10'300) == inflow::pause);
  int pings = 0;
  while (p.now < start + 40s || !p.watch.awaits_pong()) {
    if (p.watch.awaits_pong()) CHECK(p.hear() == inflow::fine);
    if (p.first_before(p.now + 100ms) != action::ping) continue;
    p.ping();
    ++pings;
  }
  CHECK(pings >= 5);
  CHECK(p.hear(6, 10'300) == inflow::pause);
}

TEST_CASE(
    "who owes more than the patience is told so when it is over, once, and then waits for its "
    "tokens") {
  watched_peer p;
  p.bounds.max_inbound_messages_per_second = 1;
  p.bounds.inbound_burst = 1s;
  p.bounds.inbound_patience = 3s;
  CHECK(p.hear(6, 21) == inflow::pause);
  CHECK(p.first_before(start + 1min) == action::too_long);
  CHECK(p.now == start + 3s);
  CHECK(p.watch.paused());
  CHECK(p.first_before(start + 1min) == action::read_on);
  CHECK(p.now == start + 20s);
}

TEST_CASE("who is paused is looked at for its idle time too, which others may put off") {
  watched_peer p;
  p.bounds.max_inbound_messages_per_second = 1;
  p.bounds.inbound_burst = 1s;
  p.bounds.idle_timeout = 5s;
  p.hear(6, 21);
  CHECK(p.first_before(start + 4s) == action::nothing);
  p.watch.talked();
  CHECK(p.first_before(start + 1min) == action::idle);
  CHECK(p.now == start + 10s);
}

TEST_CASE("limits that change while it is paused hold from the next look on") {
  watched_peer p;
  p.bounds.max_inbound_messages_per_second = 1;
  p.bounds.inbound_burst = 1s;
  p.hear(6, 61);
  CHECK(p.first_before(start + 5s) == action::nothing);
  p.bounds.inbound_patience = 10s;
  p.next = p.now;
  CHECK(p.first_before(start + 1min) == action::too_long);
  CHECK(p.now == start + 10s);
}

TEST_CASE("no patience at all: who passes the rate is told so at once") {
  watched_peer p;
  p.bounds.max_inbound_messages_per_second = 1;
  p.bounds.inbound_burst = 1s;
  p.bounds.inbound_patience = 0s;
  CHECK(p.hear() == inflow::fine);
  CHECK(p.hear() == inflow::too_long);
}

TEST_SUITE_END();
