#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "actors/loop_unit.hpp"
#include "actors/pinned_actor.hpp"

/// How actors share their loop: with each other, and with what else has to have its turn there.
using namespace fairlead;
using namespace fairlead::actors;
using namespace std::chrono_literals;

namespace {

/// Turned by hand, with a clock that only work moves. `outside`: as if the caller were another thread.
class slow_loop final : public protocol::event_loop {
 public:
  bool post(task t) override {
    if (!stopped) tasks_.push_back(std::move(t));
    return !stopped;
  }
  [[nodiscard]] bool inside() const noexcept override { return !outside; }
  [[nodiscard]] protocol::time_point now() const noexcept override { return clock; }
  [[nodiscard]] protocol::time_point read_clock() const noexcept override { return clock; }
  void schedule(protocol::timer_base&, protocol::time_point) override {}

  /// As Asio does: what is posted now; then sockets and timers would have their turn.
  void round() {
    ++rounds;
    outside = false;
    for (auto some = std::exchange(tasks_, {}); !some.empty(); some.pop_front()) some.front()();
  }
  void run() {
    while (!tasks_.empty()) round();
  }

  bool outside = false, stopped = false;
  protocol::time_point clock{};
  int rounds = 0;

 private:
  std::deque<task> tasks_;
};

using book = std::vector<std::string>;

/// Each message takes it so long.
class worker final : public pinned_actor {
 public:
  worker(caf::actor_config& config, std::shared_ptr<loop_unit> unit, slow_loop& loop, book& done,
         std::string name)
      : pinned_actor(config, std::move(unit)), loop_(loop), done_(done), name_(std::move(name)) {}

  caf::behavior make_behavior() override {
    return {
        [this](std::chrono::microseconds takes) {
          loop_.clock += takes;
          done_.push_back(name_);
        },
        [](const caf::actor& next) { caf::anon_send(next, 0us); },
    };
  }

 private:
  slow_loop& loop_;
  book& done_;
  const std::string name_;
};

struct world {
  ~world() {
    loop->outside = false;
    for (const auto& a : actors) caf::anon_send_exit(a, caf::exit_reason::kill);
    loop->stopped = false;
    loop->run();
  }
  caf::actor spawn(std::string name) {
    auto made = spawn_pinned<worker>(unit, *loop, done, std::move(name));
    actors.push_back(caf::actor_cast<caf::actor>(made));
    return actors.back();
  }
  [[nodiscard]] auto count(const std::string& name) const { return std::ranges::count(done, name); }

  caf::actor_system_config config;
  caf::actor_system system{config};
  std::shared_ptr<slow_loop> loop = std::make_shared<slow_loop>();
  std::shared_ptr<loop_unit> unit = std::make_shared<loop_unit>(system, loop);
  book done;
  std::vector<caf::actor> actors;
};

}  // namespace

TEST_SUITE_BEGIN("actors/loop_unit");

TEST_CASE("a drain begins nothing more after two milliseconds: then sockets, timers and other "
          "threads have their turn") {
  world w;
  std::vector<caf::actor> busy;
  for (int i = 0; i < 100; ++i) caf::anon_send(w.spawn("busy"), 1000us);
  w.loop->round();
  CHECK(w.loop->clock.time_since_epoch() <= 4ms);
  CHECK(w.done.size() >= 2);
  bool other = false;
  w.loop->post([&] { other = true; });
  w.loop->round();
  CHECK(other);
  CHECK(w.done.size() < 10);
  w.loop->run();
  CHECK(w.done.size() == 100);
  CHECK(w.loop->rounds < 60);
}

TEST_CASE("a drain that takes no time runs all, also what that makes ready") {
  world w;
  const auto last = w.spawn("last");
  for (int i = 0; i < 10'000; ++i) caf::anon_send(w.spawn("quick"), 0us);
  caf::anon_send(w.spawn("first"), last);
  w.loop->round();
  CHECK(w.count("quick") == 10'000);
  CHECK(w.count("last") == 1);
}

TEST_CASE("many that other threads have woken are one drain, and no longer than any") {
  world w;
  w.loop->outside = true;
  for (int i = 0; i < 100; ++i) caf::anon_send(w.spawn("busy"), 1000us);
  w.loop->round();
  w.loop->round();
  CHECK(w.loop->clock.time_since_epoch() <= 4ms);
  w.loop->run();
  CHECK(w.done.size() == 100);
}

TEST_CASE("one alone that another thread has woken runs at once, with all that follows") {
  world w;
  const auto last = w.spawn("last");
  const auto first = w.spawn("first");
  w.loop->outside = true;
  caf::anon_send(first, last);
  w.loop->round();
  CHECK(w.count("last") == 1);
}

TEST_CASE("who directs the others waits for one drain, however many wait, and takes no more than "
          "its turn") {
  world w;
  const auto director = w.spawn("director");
  w.unit->put_first(caf::actor_cast<caf::strong_actor_ptr>(director));
  for (int i = 0; i < 1000; ++i) caf::anon_send(w.spawn("busy"), 1000us);
  w.loop->round();
  // More than one run of it, from another thread.
  w.loop->outside = true;
  for (int i = 0; i < 1000; ++i) caf::anon_send(director, 10us);
  w.loop->round();  // it is behind the next drain, which is posted
  w.loop->round();
  CHECK(w.count("director") == 256);
  CHECK(w.count("busy") <= 10);
  w.loop->round();
  CHECK(w.count("director") == 512);
  CHECK(w.count("busy") <= 15);
  w.loop->run();
  CHECK(w.done.size() == 2000);
}

TEST_CASE("the others get as long as who directs them took") {
  world w;
  const auto director = w.spawn("director");
  w.unit->put_first(caf::actor_cast<caf::strong_actor_ptr>(director));
  for (int i = 0; i < 1000; ++i) caf::anon_send(w.spawn("busy"), 1000us);
  w.loop->round();
  const auto before = w.count("busy");
  caf::anon_send(director, 50'000us);
  w.loop->round();
  CHECK(w.count("director") == 1);
  CHECK(w.count("busy") - before >= 50);
  CHECK(w.count("busy") - before <= 55);
}

TEST_CASE("a loop that stops is drained to the end, by who was posted before") {
  for (const bool outside : {false, true}) {
    CAPTURE(outside);
    world w;
    w.loop->outside = outside;
    for (int i = 0; i < 100; ++i) caf::anon_send(w.spawn("busy"), 1000us);
    w.loop->stopped = true;
    w.loop->round();
    CHECK(w.done.size() == 100);
  }
}

TEST_SUITE_END();
