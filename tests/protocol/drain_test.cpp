#include <doctest/doctest.h>

#include "protocol/drain.hpp"

namespace fairlead::protocol {

using namespace std::chrono_literals;

TEST_SUITE("protocol/drain") {
  TEST_CASE("closes take as long as their rate says, and never longer than the spread or than half "
            "of what is left") {
    const drain_options how{.rate = 100, .spread = 5s};
    CHECK(spread_of(how, 0, 10s) == 0ms);
    CHECK(spread_of(how, 50, 10s) == 500ms);
    CHECK(spread_of(how, 100'000, 20s) == 5s);
    CHECK(spread_of(how, 100'000, 4s) == 2s);
    CHECK(spread_of(how, 100'000, -1s) == 0ms);
    CHECK(spread_of({.spread = 0ms}, 100'000, 10s) == 0ms);
  }

  TEST_CASE("none is due too early, all are at the end, and in between they are as many as time "
            "that has passed") {
    CHECK(due(10, 0ms, 1s) == 0);
    CHECK(due(10, 99ms, 1s) == 0);
    CHECK(due(10, 100ms, 1s) == 1);
    CHECK(due(10, 999ms, 1s) == 9);
    CHECK(due(10, 1s, 1s) == 10);
    CHECK(due(10, 5s, 1s) == 10);
    CHECK(due(3, 0ms, 0ms) == 3);
    CHECK(due(0, 0ms, 1s) == 0);
  }
}

}  // namespace fairlead::protocol
