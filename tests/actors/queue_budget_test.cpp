#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "actors/connection_core.hpp"
#include "tests/actors/harness.hpp"

using namespace fairlead;
using namespace fairlead::test;
using protocol::connection_state;
using protocol::limit_hit;

namespace {

constexpr std::size_t budget = 10'000;

struct fixture {
  std::shared_ptr<protocol::limit_hits> hits = std::make_shared<protocol::limit_hits>();
  harness h;
  answers<send_result> sent;

  explicit fixture(std::size_t loops = 2)
      : h{loops, [&](actors::backbone_options& o) {
            o.hits = hits;
            o.limits.max_queued_bytes = 8'000;
            o.limits.max_total_queued_bytes = budget;
            o.logger = nullptr;
          }} {}

  /// A connection that takes nothing, with so many messages of 100 bytes queued.
  harness::client stalled(std::size_t loop, int messages) {
    auto c = h.open({}, loop);
    c.link->room = 0;
    grow(c, messages);
    return c;
  }
  void grow(const harness::client& c, int messages) {
    for (; messages > 0; --messages)
      c.handle.send(message::text(std::string(98, 'x')), sent.next());
    h.run();
  }
  std::uint64_t held() {
    std::uint64_t sum = 0;
    for (const auto& r : h.tree().rosters) sum += r.queued_bytes;
    return sum;
  }
  connection_state state(const harness::client& c) { return h.snapshot(c).state; }
};

}  // namespace

TEST_SUITE_BEGIN("actors/queue_budget");

TEST_CASE("within the budget nobody is closed, and what is written is counted no longer") {
  fixture f;
  auto a = f.stalled(0, 60), b = f.stalled(1, 39);
  CHECK(f.held() == 9'900);
  CHECK(f.h.tree().supervisor.queued_bytes == 9'900);
  CHECK(f.state(a) == connection_state::open);
  a.link->kernel_takes(150);
  f.h.run();
  CHECK(f.held() == 9'800);  // a message that has begun counts until its end
  a.link->kernel_takes(100'000);
  b.link->kernel_takes(100'000);
  f.h.run();
  CHECK(f.held() == 0);
  CHECK(f.sent.count(send_result::written) == 99);
  CHECK(f.hits->count(limit_hit::queue_budget) == 0);
}

TEST_CASE("past the budget the longest queue goes first, on whatever loop, with 3008; the others "
          "stay") {
  for (const std::size_t grows : {0u, 1u}) {
    CAPTURE(grows);
    fixture f;
    auto longest = f.stalled(1, 50), small = f.stalled(0, 9);
    std::vector<harness::client> middle;
    for (std::size_t i = 0; i < 4; ++i) middle.push_back(f.stalled(i % 2, 10));
    longest.link->room = 30;  // a part of its first message
    longest.link->kernel_takes(0);
    f.grow(grows == 0 ? small : middle[1], 11);  // 110 in all
    CHECK(f.state(longest) == connection_state::closing);
    CHECK(f.state(small) == connection_state::open);
    for (auto& m : middle) CHECK(f.state(m) == connection_state::open);
    CHECK(f.held() == 6'000);
    CHECK(f.sent.count(send_result::overflow) == 49);
    CHECK(f.hits->count(limit_hit::queue_budget) == 1);
    CHECK(f.hits->count(limit_hit::slow_close) == 1);
    // What had begun is finished, before the Close.
    longest.link->kernel_takes(1'000);
    f.h.run();
    CHECK(longest.texts().size() == 1);
    CHECK(close_code_in(longest.link->sent) == close_code::slow_consumer);
    CHECK(ends_at_its_close(longest.link->sent));
    CHECK(f.h.send(longest.handle, "x") == send_result::closing);
  }
}

TEST_CASE("one that takes nothing any more is aborted at the close time-out") {
  fixture f;
  auto a = f.stalled(0, 79), b = f.stalled(0, 30);
  CHECK(f.state(a) == connection_state::closing);
  f.h.advance(limits{}.close_timeout + 100ms);
  CHECK(a.link->aborted);
  CHECK(f.sent.count(send_result::overflow) == 79);
  CHECK(f.held() == 3'000);
  CHECK(f.state(b) == connection_state::open);
}

TEST_CASE("broadcasts to many that do not read: each queue counts, and the process stays bounded") {
  fixture f;
  for (std::size_t i = 0; i < 10; ++i) f.stalled(i % 2, 0);
  auto quick = f.h.open({}, 1);
  for (int i = 0; i < 30; ++i) {
    f.h.backbone->broadcast(message::text(std::string(98, 'b')), {});
    f.h.run();
    CHECK(f.held() <= budget + budget / 16 + 10 * 100);
  }
  CHECK(quick.texts().size() == 30);
  CHECK(f.hits->count(limit_hit::queue_budget) >= 6);
  CHECK(f.hits->count(limit_hit::queue_budget) <= 9);
}

TEST_CASE(
    "any order of growing, draining and ending: the sum stays within the budget, each send is "
    "told once, and the tally comes back to zero") {
  for (std::uint32_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    fixture f{1 + seed % 3};
    std::vector<harness::client> all;
    for (std::size_t i = 0; i < 12; ++i) all.push_back(f.stalled(i % f.h.loops.size(), 0));
    for (int step = 0; step < 60; ++step) {
      const auto& c = all[random() % all.size()];
      switch (random() % 8) {
      case 0: c.link->kernel_takes(random() % 4'000); break;
      case 1:
        if (random() % 8 == 0) c.link->fails();
        break;
      default: f.grow(c, static_cast<int>(random() % 12));
      }
      f.h.run();
      CHECK(f.held() <= budget + budget / 16);
    }
    for (auto& c : all) c.link->kernel_takes(1'000'000);
    f.h.run();
    CHECK(f.held() == 0);
    CHECK(f.sent.once_each());
    for (auto& c : all)  // an actor that ended leaves its account as it was
      if (c.handle.core()->ended() == send_result::written)
        CHECK(c.handle.core()->queued().messages() == 0);
  }
}

TEST_SUITE_END();
