#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <pthread.h>

#include "net/door.hpp"
#include "net/loop.hpp"
#include "tests/net/test_server.hpp"

using namespace fairlead;
using namespace std::chrono_literals;

TEST_SUITE_BEGIN("net/loop");

namespace {

/// Runs on the loop; the result, or an exception if the loop does not answer.
template <class F>
auto ask(net::loop& loop, F f) {
  auto answer = std::make_shared<std::promise<decltype(f())>>();
  REQUIRE(loop.post([answer, f] { answer->set_value(f()); }));
  auto future = answer->get_future();
  if (future.wait_for(30s) != std::future_status::ready)
    throw std::runtime_error("the loop does not answer");
  return future.get();
}

struct kept_log final : log {
  bool enabled(severity) const noexcept override { return true; }
  void write(severity, std::string_view event,
             std::span<const log_field> fields) noexcept override {
    lines.add(std::string(event) + " " +
              std::string(std::get<std::string_view>(fields.back().value)));
  }
  test::diary lines;
};

}  // namespace

TEST_CASE("a task runs on the loop's thread, and only that thread is inside") {
  const auto loop = net::loop::start(3);
  CHECK(loop->index() == 3);
  CHECK_FALSE(loop->inside());
  CHECK(ask(*loop, [&] { return loop->inside(); }));
  const auto name = ask(*loop, [] {
    char text[16] = {};
    pthread_getname_np(pthread_self(), text, sizeof text);
    return std::string(text);
  });
  CHECK(name == "fairlead-3");
  loop->stop();
}

TEST_CASE("tasks run in the order in which they were posted") {
  const auto loop = net::loop::start(0);
  std::vector<int> ran;
  for (int i = 0; i < 1000; ++i) loop->post([&ran, i] { ran.push_back(i); });
  CHECK(ask(*loop, [&] { return ran.size(); }) == 1000);
  CHECK(std::is_sorted(ran.begin(), ran.end()));
  loop->stop();
}

TEST_CASE("stop runs what was posted before, also what a task posted, and then refuses") {
  const auto loop = net::loop::start(0);
  std::promise<void> go;
  bool posted = false;
  int ran = 0;
  loop->post([&, released = go.get_future().share()] {
    released.wait();
    posted = loop->post([&] { ++ran; });  // the door may be closed by now, or not
  });
  loop->post([&] { ++ran; });
  std::thread stopper([&] { loop->stop(); });
  go.set_value();
  stopper.join();
  CHECK(ran == (posted ? 2 : 1));
  auto owned = std::make_shared<int>(1);
  const std::weak_ptr<int> witness = owned;
  CHECK_FALSE(loop->post([o = std::move(owned)] {}));
  CHECK(witness.expired());  // the refused task is destroyed at once
  loop->stop();              // idempotent
}

TEST_CASE("posting from many threads while it stops: each task runs exactly once or was refused") {
  for (int round = 0; round < 50; ++round) {
    const auto loop = net::loop::start(0);
    std::atomic<int> accepted = 0;
    std::atomic<int> ran = 0;
    std::vector<std::thread> posters;
    for (int t = 0; t < 4; ++t) {
      posters.emplace_back([&] {
        for (int i = 0; i < 10'000 && loop->post([&ran] { ++ran; }); ++i) ++accepted;
      });
    }
    while (accepted < 100) std::this_thread::yield();
    loop->stop();
    const int ran_when_stopped = ran;
    for (auto& poster : posters) poster.join();
    CHECK(ran == ran_when_stopped);
    CHECK(ran == accepted);
  }
}

TEST_CASE("a handle that outlives everything is told false") {
  std::weak_ptr<int> kept;
  const auto loop = net::loop::start(0);
  {
    const auto value = std::make_shared<int>(1);
    kept = value;
    loop->post([value] {});
  }
  loop->stop();
  CHECK(kept.expired());
  CHECK_FALSE(loop->post([] {}));
}

TEST_CASE("the last handle may be dropped by a task of the loop itself") {
  auto loop = net::loop::start(0);
  std::weak_ptr<net::loop> gone = loop;
  std::promise<void> mine_is_gone;
  loop->post([kept = loop, released = mine_is_gone.get_future().share()]() mutable {
    released.wait();
    kept.reset();
  });
  loop.reset();
  mine_is_gone.set_value();
  CHECK(test::eventually([&] { return gone.expired(); }));
}

TEST_CASE("a task that throws is logged and hurts nothing") {
  const auto logger = std::make_shared<kept_log>();
  const auto loop = net::loop::start(0, logger);
  loop->post([] { throw std::runtime_error("oh"); });
  loop->post([] { throw 1; });
  CHECK(ask(*loop, [] { return 42; }) == 42);
  CHECK(logger->lines.lines() ==
        std::vector<std::string>{"loop.exception oh", "loop.exception not a std::exception"});
  loop->stop();
}

TEST_CASE("now stands still within a task") {
  const auto loop = net::loop::start(0);
  const auto [first, second] = ask(*loop, [&] {
    const auto before = loop->now();
    while (std::chrono::steady_clock::now() <= before) continue;
    return std::pair(before, loop->now());
  });
  CHECK(first == second);
  CHECK(ask(*loop, [&] { return loop->now(); }) > second);
  loop->stop();
}

TEST_CASE("a timer runs at its time, not before, and one that is cancelled does not") {
  const auto loop = net::loop::start(0);
  std::promise<protocol::time_point> rang;
  std::promise<protocol::time_point> rang_later;
  std::atomic<bool> wrong = false;
  protocol::timer soon([&] { rang.set_value(std::chrono::steady_clock::now()); });
  protocol::timer later([&] { rang_later.set_value(std::chrono::steady_clock::now()); });
  protocol::timer never([&] { wrong = true; });
  const auto start = ask(*loop, [&] {
    loop->schedule(later, loop->now() + 60ms);  // armed for this one first
    loop->schedule(never, loop->now() + 10ms);
    loop->schedule(soon, loop->now() + 20ms);
    never.cancel();
    return loop->now();
  });
  CHECK(rang.get_future().get() >= start + 20ms);
  CHECK(rang_later.get_future().get() >= start + 60ms);
  CHECK_FALSE(wrong);
  loop->stop();
}

TEST_CASE("a timer's task that throws does not silence the others") {
  const auto loop = net::loop::start(0);
  std::promise<void> rang;
  protocol::timer bad([] { throw std::runtime_error("oh"); });
  protocol::timer good([&] { rang.set_value(); });
  loop->post([&] {
    loop->schedule(bad, loop->now() + 10ms);
    loop->schedule(good, loop->now() + 10ms);
  });
  CHECK(rang.get_future().wait_for(30s) == std::future_status::ready);
  loop->stop();
}

TEST_CASE("stopping gives back every descriptor") {
  const auto before = test::open_descriptors();
  {
    const auto loop = net::loop::start(0);
    CHECK(test::open_descriptors() > before);
    loop->stop();
    CHECK(test::open_descriptors() == before);
  }
}

TEST_CASE("a closed door lets nobody in and waits for who is inside") {
  net::door door;
  REQUIRE(door.enter());
  std::atomic<bool> closed = false;
  std::thread closer([&] {
    door.close();
    closed = true;
  });
  CHECK(test::eventually([&] {
    if (!door.enter()) return true;
    door.leave();
    return false;
  }));
  CHECK_FALSE(closed);
  door.leave();
  closer.join();
  CHECK_FALSE(door.enter());
  door.close();
}

TEST_SUITE_END();
