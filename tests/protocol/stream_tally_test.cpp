#include <algorithm>
#include <atomic>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "protocol/stream_tally.hpp"

using fairlead::protocol::stream_tally;

TEST_SUITE_BEGIN("protocol/stream_tally");

TEST_CASE("a stream has the room that the others leave, its own included") {
  stream_tally tally;
  CHECK(tally.room(100, 0) == 100);
  tally.change(0, 60);
  CHECK(tally.total() == 60);
  CHECK(tally.room(100, 0) == 40);
  CHECK(tally.room(100, 60) == 100);
  tally.change(0, 40);
  CHECK(tally.room(100, 0) == 0);
  CHECK(tally.room(100, 40) == 40);
  CHECK(tally.room(50, 40) == 0);  // a budget that became smaller
  tally.change(60, 10);
  tally.change(40, 0);
  CHECK(tally.total() == 10);
}

TEST_CASE(
    "threads at once: past the budget by a message for each other thread at most, and counted "
    "exactly") {
  constexpr std::size_t threads = 4, budget = 1'000, largest = 50;
  stream_tally tally;
  std::atomic<std::size_t> most{0}, left{0};
  const auto appends = [&](std::uint32_t seed) {
    std::mt19937 random{seed};
    std::size_t own = 0;
    for (int i = 0; i < 20'000; ++i) {
      const auto size = 1 + random() % largest;
      const auto room = tally.room(budget, own);
      const auto before = own;
      // As a stream does: the message, and of the older ones what fits.
      own = size > room ? own : std::min(own + size, room);
      if (random() % 20 == 0) own = 0;
      tally.change(before, own);
      const auto now = tally.total();
      for (auto seen = most.load(); now > seen && !most.compare_exchange_weak(seen, now);) {
      }
    }
    left += own;
  };
  std::vector<std::thread> all;
  for (std::uint32_t seed = 0; seed < threads; ++seed) all.emplace_back(appends, seed);
  for (auto& t : all) t.join();
  CHECK(most <= budget + (threads - 1) * largest);
  CHECK(most > budget - largest);
  CHECK(tally.total() == left);
}

TEST_SUITE_END();
