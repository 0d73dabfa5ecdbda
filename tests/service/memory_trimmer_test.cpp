#include <doctest/doctest.h>

#include "service/memory_trimmer.hpp"

namespace fairlead::service {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t mib = std::size_t{1} << 20;
const trim_watch::time_point start{};

}  // namespace

TEST_SUITE("service/memory_trimmer") {
  TEST_CASE("memory is given back once, when what is held has fallen by half from its peak") {
    trim_watch watch;
    CHECK_FALSE(watch.due(200 * mib, start + 60s));
    CHECK_FALSE(watch.due(101 * mib, start + 61s));
    CHECK(watch.due(100 * mib, start + 62s));
    CHECK_FALSE(watch.due(100 * mib, start + 90s));  // what it fell to is the peak from now on
  }

  TEST_CASE("a fall in steps counts from the peak") {
    trim_watch watch;
    for (std::size_t held = 200; held > 100; held -= 20)
      CHECK_FALSE(watch.due(held * mib, start + 60s));
    CHECK(watch.due(100 * mib, start + 60s));
  }

  TEST_CASE("a fall of little is not worth it, whatever the part") {
    trim_watch watch;
    CHECK_FALSE(watch.due(16 * mib - 1, start + 60s));
    CHECK_FALSE(watch.due(0, start + 61s));
    CHECK_FALSE(watch.due(16 * mib, start + 62s));
    CHECK(watch.due(0, start + 63s));
  }

  TEST_CASE("one that comes too soon is made up for, and none is lost") {
    trim_watch watch;
    CHECK_FALSE(watch.due(200 * mib, start + 60s));
    CHECK(watch.due(100 * mib, start + 61s));
    CHECK_FALSE(watch.due(0, start + 62s));
    CHECK_FALSE(watch.due(0, start + 61s + trim_watch::interval - 1ms));
    CHECK(watch.due(0, start + 61s + trim_watch::interval));
    CHECK_FALSE(watch.due(0, start + 3600s));
  }

  TEST_CASE("what comes and goes costs one in each interval") {
    trim_watch watch;
    int trims = 0;
    for (int second = 0; second < 100; ++second)
      trims += watch.due(second % 2 == 0 ? 500 * mib : 0, start + 60s + 1s * second) ? 1 : 0;
    CHECK(trims == 100s / trim_watch::interval);
  }
}

}  // namespace fairlead::service
