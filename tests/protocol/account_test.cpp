#include <atomic>
#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "protocol/account.hpp"

using fairlead::protocol::account;

TEST_SUITE_BEGIN("protocol/account");

TEST_CASE("it counts up to each limit and not past it") {
  account a;
  CHECK(a.try_add(1, 60, 2, 100));
  CHECK(a.try_add(1, 40, 2, 100));
  CHECK_FALSE(a.try_add(1, 0, 2, 100));
  CHECK_FALSE(a.try_add(0, 1, 2, 100));
  CHECK(a.messages() == 2);
  CHECK(a.bytes() == 100);
}

TEST_CASE("what is given back is room again") {
  account a;
  REQUIRE(a.try_add(2, 100, 2, 100));
  a.release(1, 30);
  CHECK_FALSE(a.try_add(1, 31, 2, 100));
  CHECK(a.try_add(1, 30, 2, 100));
  a.release(2, 100);
  CHECK(a.messages() == 0);
  CHECK(a.bytes() == 0);
}

TEST_CASE("a refused add leaves nothing behind, however large it was") {
  constexpr auto huge_count = std::numeric_limits<std::uint32_t>::max();
  constexpr auto huge_size = std::numeric_limits<std::size_t>::max();
  account a;
  REQUIRE(a.try_add(1, 1, 10, 10));
  CHECK_FALSE(a.try_add(huge_count, 1, 10, 10));
  CHECK_FALSE(a.try_add(1, huge_size, 10, 10));
  // Limits that the packed fields could not hold are lowered to what they can.
  CHECK_FALSE(a.try_add(huge_count, 1, huge_count, huge_size));
  CHECK_FALSE(a.try_add(1, huge_size, huge_count, huge_size));
  CHECK(a.messages() == 1);
  CHECK(a.bytes() == 1);
}

TEST_CASE("a sealed account lets in nothing, and still counts what leaves") {
  account a;
  REQUIRE(a.try_add(2, 100, 1u << 22, std::size_t{1} << 39));
  CHECK_FALSE(a.sealed());
  a.seal();
  a.seal();
  CHECK(a.sealed());
  CHECK_FALSE(a.try_add(1, 1, 1u << 22, std::size_t{1} << 39));
  CHECK_FALSE(a.try_add(0, 0, 1u << 22, std::size_t{1} << 39));
  CHECK(a.messages() == 2);
  CHECK(a.bytes() == 100);
  a.release(2, 100);
  CHECK(a.messages() == 0);
  CHECK(a.bytes() == 0);
  CHECK(a.sealed());
}

TEST_CASE("threads that race for the last room never pass a limit together") {
  constexpr std::uint32_t most = 50;
  account a;
  std::atomic<std::uint32_t> inside{0};
  std::atomic<std::uint32_t> highest{0};
  const auto work = [&] {
    for (int i = 0; i < 20'000; ++i) {
      if (!a.try_add(1, 7, most, 1'000'000)) continue;
      const auto now = ++inside;
      for (auto seen = highest.load(); seen < now && !highest.compare_exchange_weak(seen, now);) {
      }
      --inside;
      a.release(1, 7);
    }
  };
  // A first part stays in, so that the race is for the few places left.
  REQUIRE(a.try_add(most - 1, 0, most, 1'000'000));
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back(work);
  }
  CHECK(highest.load() == 1);
  CHECK(a.messages() == most - 1);
  CHECK(a.bytes() == 0);
}

TEST_CASE("what is refused takes nobody's room, not even for a moment") {
  account a;
  REQUIRE(a.try_add(1, 200, 10, 1'000));
  std::atomic<bool> over{false};
  std::jthread large{[&] {
    while (!over) static_cast<void>(a.try_add(1, 900, 10, 1'000));
  }};
  int refused = 0;
  for (int i = 0; i < 2'000'000; ++i) {
    if (a.try_add(1, 10, 10, 1'000))
      a.release(1, 10);
    else
      ++refused;
  }
  over = true;
  CHECK(refused == 0);
}

TEST_SUITE_END();
