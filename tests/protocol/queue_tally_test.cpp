#include <array>
#include <cstddef>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include <doctest/doctest.h>

#include "protocol/queue_tally.hpp"

using fairlead::protocol::least_to_go;
using fairlead::protocol::queue_tally;

namespace {

constexpr auto nobody = std::numeric_limits<std::size_t>::max();

std::size_t least(const std::array<queue_tally, 2>& loops, std::size_t target) {
  return least_to_go(loops, target, std::identity{});
}

}  // namespace

TEST_SUITE_BEGIN("protocol/queue_tally");

TEST_CASE("it knows the sum, and the sum of each class of size") {
  queue_tally t;
  t.change(0, 5);
  t.change(0, 7);
  t.change(0, 8);
  CHECK(t.total() == 20);
  CHECK(t.in_class(queue_tally::class_of(4)) == 12);
  CHECK(t.in_class(queue_tally::class_of(8)) == 8);
  t.change(7, 9);
  CHECK(t.total() == 22);
  CHECK(t.in_class(queue_tally::class_of(8)) == 17);
  for (const std::size_t left : {5, 8, 9}) t.change(left, 0);
  for (unsigned c = 0; c < queue_tally::classes; ++c) CHECK(t.in_class(c) == 0);
  CHECK(t.total() == 0);
}

TEST_CASE("the longest go first, over all loops, and no more than it takes") {
  std::array<queue_tally, 2> loops;
  loops[0].change(0, 1'000);
  loops[0].change(0, 100);
  loops[1].change(0, 400);
  loops[1].change(0, 10);
  CHECK(least(loops, 1'510) == nobody);
  CHECK(least(loops, 1'509) == 512);
  CHECK(least(loops, 510) == 512);
  CHECK(least(loops, 509) == 256);
  CHECK(least(loops, 109) == 64);
  CHECK(least(loops, 0) == 8);
}

TEST_CASE("what is left once all of that size are gone is within the target, whatever the queues") {
  for (std::uint32_t seed = 1; seed <= 500; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    std::array<queue_tally, 2> loops;
    std::vector<std::size_t> queues(random() % 50);
    std::size_t total = 0;
    for (auto& q : queues) {
      q = random() % (1u << random() % 20);
      loops[random() % 2].change(0, q);
      total += q;
    }
    const std::size_t target = total == 0 ? 0 : random() % total;
    const auto from = least(loops, target);
    std::size_t left = 0, one_class_more = 0;
    for (const auto q : queues) {
      if (q < from) left += q;
      if (q / 2 < from) one_class_more += q;
    }
    CHECK(left <= target);
    if (from != nobody && total > target) CHECK(one_class_more > target);
  }
}

TEST_SUITE_END();
