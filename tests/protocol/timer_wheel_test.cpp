#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <vector>

#include <doctest/doctest.h>

#include "protocol/timer_wheel.hpp"

using namespace fairlead::protocol;
using namespace std::chrono_literals;

namespace {

const time_point start{1h};

}  // namespace

TEST_SUITE_BEGIN("protocol/timer_wheel");

TEST_CASE("a timer runs once, never early and at most one tick late") {
  for (const auto delay :
       {0ms, 1ms, 9ms, 10ms, 11ms, 999ms, 10'239ms, 10'240ms, 10'241ms, 61'007ms}) {
    CAPTURE(delay.count());
    timer_wheel wheel(start);
    time_point now = start;
    std::optional<time_point> ran;
    timer t([&] {
      CHECK_FALSE(ran.has_value());
      ran = now;
    });
    wheel.schedule(t, start + delay);
    CHECK(t.scheduled());
    while (now < start + 70s) wheel.advance(now += 1ms);
    REQUIRE(ran.has_value());
    CHECK(*ran >= start + delay);
    CHECK(*ran <= start + delay + timer_wheel::tick);
    CHECK_FALSE(t.scheduled());
    CHECK(wheel.size() == 0);
  }
}

TEST_CASE("a moment that is past is the next tick; never is never") {
  timer_wheel wheel(start);
  wheel.advance(start + 1s);
  int ran = 0;
  timer late([&] { ++ran; });
  timer never([&] { ran += 100; });
  wheel.schedule(late, time_point::min());
  wheel.schedule(never, time_point::max());
  CHECK_FALSE(never.scheduled());
  CHECK(wheel.next() == start + 1s + timer_wheel::tick);
  wheel.advance(wheel.next());
  CHECK(ran == 1);
}

TEST_CASE("who advances when `next` says so runs everything in time, and seldom for nothing") {
  timer_wheel wheel(start);
  CHECK(wheel.next() == time_point::max());
  time_point now = start;
  std::vector<std::int64_t> ran;
  const auto note = [&] { ran.push_back((now - start) / 1ms); };
  timer a(note), b(note), c(note);
  wheel.schedule(a, start + 45s);
  wheel.schedule(b, start + 20ms);
  wheel.schedule(c, start + 5s);
  int calls = 0;
  for (; wheel.size() > 0; ++calls) {
    REQUIRE(wheel.next() > now);
    wheel.advance(now = wheel.next());
  }
  CHECK(ran == std::vector<std::int64_t>{20, 5'000, 45'000});
  CHECK(calls <= 3 + 5);  // 45 s are five turns of the wheel
  CHECK(wheel.next() == time_point::max());
}

TEST_CASE("timers run in the order of ticks, within one tick in the order of scheduling") {
  timer_wheel wheel(start);
  std::vector<int> order;
  timer a([&] { order.push_back(1); }), b([&] { order.push_back(2); }),
      c([&] { order.push_back(3); });
  wheel.schedule(c, start + 30ms);
  wheel.schedule(a, start + 10ms);
  wheel.schedule(b, start + 10ms);
  wheel.advance(start + 1s);
  CHECK(order == std::vector<int>{1, 2, 3});
}

TEST_CASE("scheduling again replaces, cancelling and destroying take off") {
  timer_wheel wheel(start);
  int ran = 0;
  timer moved([&] { ++ran; });
  wheel.schedule(moved, start + 10ms);
  wheel.schedule(moved, start + 50ms);
  CHECK(wheel.size() == 1);
  timer cancelled([&] { ran += 100; });
  wheel.schedule(cancelled, start + 10ms);
  cancelled.cancel();
  cancelled.cancel();
  {
    timer destroyed([&] { ran += 100; });
    wheel.schedule(destroyed, start + 10ms);
  }
  wheel.advance(start + 40ms);
  CHECK(ran == 0);
  wheel.advance(start + 50ms);
  CHECK(ran == 1);
}

TEST_CASE("after a pause longer than a turn everything due is run, and nothing else") {
  timer_wheel wheel(start);
  int ran = 0;
  timer soon([&] { ++ran; }), in_a_minute([&] { ++ran; }), in_an_hour([&] { ran += 100; });
  wheel.schedule(soon, start + 5ms);
  wheel.schedule(in_a_minute, start + 1min);
  wheel.schedule(in_an_hour, start + 1h);
  wheel.advance(start + 30min);
  CHECK(ran == 2);
  CHECK(in_an_hour.scheduled());
}

TEST_CASE("after such a pause no slot is passed over, wherever the wheel stood") {
  timer_wheel wheel(start);
  time_point now = start;
  std::size_t ran = 0;
  std::vector<std::unique_ptr<timer>> timers(3'000);
  for (auto& t : timers) t = std::make_unique<timer>([&] { ++ran; });
  for (const auto before : {0ms, 10ms, 10'230ms, 10'240ms}) {
    wheel.advance(now += before);
    ran = 0;
    for (std::size_t i = 0; i < timers.size(); ++i) {
      wheel.schedule(*timers[i], now + (i + 1) * timer_wheel::tick);
    }
    wheel.advance(now += 1min);
    CHECK(ran == timers.size());
    CHECK(wheel.size() == 0);
  }
}

TEST_CASE("a task may schedule its own timer: it runs again, in a later call") {
  timer_wheel wheel(start);
  int ran = 0;
  time_point now = start;
  std::function<void()> again;
  timer t([&] { again(); });
  again = [&] {
    ++ran;
    wheel.schedule(t, now);
  };
  wheel.schedule(t, now);
  for (int i = 1; i <= 5; ++i) {
    wheel.advance(now += 10ms);
    CHECK(ran == i);
  }
}

TEST_CASE("a task may destroy its own timer, and others that are due in the same tick") {
  timer_wheel wheel(start);
  auto first = std::unique_ptr<timer>();
  auto second = std::unique_ptr<timer>();
  auto third = std::unique_ptr<timer>();
  bool third_ran = false;
  // The captured vector lies on the heap: were the running task destroyed with its timer, asan would see it used.
  first = std::make_unique<timer>([&, kept = std::vector<int>{1, 2, 3}] {
    first.reset();
    second.reset();
    third->cancel();
    wheel.schedule(*third, start + 20ms);
    CHECK(kept.size() == 3);
  });
  second = std::make_unique<timer>([] { FAIL("it was destroyed"); });
  third = std::make_unique<timer>([&] { third_ran = true; });
  for (auto* t : {first.get(), second.get(), third.get()}) wheel.schedule(*t, start + 10ms);
  wheel.advance(start + 10ms);
  CHECK_FALSE(third_ran);
  CHECK(wheel.size() == 1);
  wheel.advance(start + 20ms);
  CHECK(third_ran);
}

TEST_CASE("a task that throws loses neither its timer nor the others") {
  timer_wheel wheel(start);
  int ran = 0;
  timer bad([&] {
    ++ran;
    throw std::runtime_error("a bug");
  });
  timer good([&] { ran += 10; });
  wheel.schedule(bad, start + 10ms);
  wheel.schedule(good, start + 10ms);
  CHECK_THROWS_AS(wheel.advance(start + 10ms), std::runtime_error);
  CHECK(wheel.next() <= start + 20ms);
  wheel.advance(start + 10ms);
  CHECK(ran == 11);
  wheel.schedule(bad, start + 20ms);
  CHECK_THROWS_AS(wheel.advance(start + 20ms), std::runtime_error);
}

TEST_CASE("a wheel that goes first leaves its timers unscheduled") {
  std::optional<timer_wheel> wheel(start);
  timer t([] { FAIL("nobody advances"); });
  wheel->schedule(t, start + 10ms);
  wheel.reset();
  CHECK_FALSE(t.scheduled());
}

TEST_CASE(
    "random schedules, cancels and pauses: each timer runs when a plain list says it should") {
  std::mt19937 random(20240611);
  const auto up_to = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  timer_wheel wheel(start);
  time_point now = start;
  struct planned {
    std::unique_ptr<timer> t;
    std::optional<time_point> when;
  };
  std::vector<planned> plans(50);
  for (auto& plan : plans) {
    plan.t = std::make_unique<timer>([&] {
      REQUIRE(plan.when.has_value());
      REQUIRE(*plan.when <= now);
      plan.when.reset();
    });
  }
  for (int round = 0; round < 20'000; ++round) {
    auto& plan = plans[up_to(50)];
    if (up_to(4) == 0) {
      plan.t->cancel();
      plan.when.reset();
    } else {
      plan.when = now + std::chrono::microseconds(up_to(up_to(2) ? 100'000 : 30'000'000));
      wheel.schedule(*plan.t, *plan.when);
    }
    if (up_to(3) == 0) {
      now += std::chrono::microseconds(up_to(up_to(50) ? 30'000 : 20'000'000));
      wheel.advance(now);
      for (const auto& p : plans) {
        REQUIRE(p.t->scheduled() == p.when.has_value());
        if (p.when) REQUIRE(*p.when + timer_wheel::tick > now);
        if (p.when) REQUIRE(wheel.next() <= *p.when + timer_wheel::tick);
      }
    }
  }
}

TEST_SUITE_END();
