#include <doctest/doctest.h>

#include "protocol/token_bucket.hpp"

using namespace fairlead::protocol;
using namespace std::chrono_literals;

TEST_SUITE_BEGIN("protocol/token_bucket");

namespace {

constexpr time_point start{1h};
constexpr token_rate rate{.per_second = 100, .burst = 2s};

}  // namespace

TEST_CASE("a fresh bucket has a burst of tokens, and after that one every so often") {
  token_bucket b;
  CHECK(b.take(200, rate, start) == 0s);
  CHECK(b.take(1, rate, start) == 10ms);
  CHECK(b.take(1, rate, start + 20ms) == 0s);
  CHECK(b.take(1, rate, start + 20ms) == 10ms);
}

TEST_CASE("what is owed is paid by time, and no more than the burst is ever saved up") {
  token_bucket b;
  CHECK(b.take(300, rate, start) == 1s);
  CHECK(b.take(0, rate, start + 400ms) == 600ms);
  CHECK(b.take(0, rate, start + 1s) == 0s);
  CHECK(b.take(201, rate, start + 100h) == 10ms);
}

TEST_CASE("who keeps to the rate owes nothing, for as long as it likes") {
  token_bucket b;
  auto now = start;
  for (int i = 0; i < 100'000; ++i) REQUIRE(b.take(1, rate, now += 10ms) == 0s);
}

TEST_CASE("to take none tells what is owed, until what was owed is paid, and changes nothing") {
  token_bucket b;
  CHECK(b.take(300, rate, start) == 1s);
  CHECK(b.take(0, rate, start) == 1s);
  CHECK(b.take(0, rate, start + 1s) == 0s);
  CHECK(b.take(0, rate, start + 4s) == 0s);
  CHECK(b.take(100, rate, start + 4s) == 0s);
  CHECK(b.take(0, rate, start + 4s) == 0s);
  CHECK(b.take(100, rate, start + 4s) == 0s);  // the other half of the burst
  CHECK(b.take(1, rate, start + 4s) == 10ms);
}

TEST_CASE("no number of tokens is too large to count, and no debt lasts longer than a day") {
  token_bucket b;
  for (int i = 0; i < 1000; ++i)
    REQUIRE(b.take(UINT64_MAX, {.per_second = 1, .burst = 1ms}, start) == 24h - 1ms);
}

TEST_SUITE_END();
