#include <algorithm>
#include <chrono>
#include <deque>
#include <random>
#include <string>

#include <doctest/doctest.h>

#include "protocol/stream.hpp"

using namespace fairlead;
using namespace std::chrono_literals;
using protocol::stream;

namespace {

constexpr protocol::time_point start{1h};
constexpr protocol::stream_limits roomy{1'000, 1'000'000, 1h};

message of(std::size_t size) { return message::text(std::string(size, 'x')); }

}  // namespace

TEST_SUITE_BEGIN("protocol/stream");

TEST_CASE("numbers begin at 1 and have no gap; what was appended can be read") {
  stream s{"epoch", roomy};
  CHECK(s.top() == 0);
  CHECK(s.first() == 1);
  CHECK(s.at(1) == nullptr);
  for (std::uint64_t i = 1; i <= 10; ++i)
    CHECK(s.append(message::text(std::to_string(i)), start) == i);
  CHECK(s.top() == 10);
  CHECK(s.first() == 1);
  for (std::uint64_t i = 1; i <= 10; ++i) CHECK(s.at(i)->view() == std::to_string(i));
  CHECK(s.at(0) == nullptr);
  CHECK(s.at(11) == nullptr);
}

TEST_CASE("the largest of what is behind a place") {
  stream s{"epoch", {3, 1'000'000, 1h}};
  CHECK(s.largest_after(0) == 0);
  for (const std::size_t size : {500, 20, 30, 10}) s.append(of(size), start);
  CHECK(s.largest_after(0) == of(30).frame().size());  // the first one is gone
  CHECK(s.largest_after(2) == of(30).frame().size());
  CHECK(s.largest_after(3) == of(10).frame().size());
  CHECK(s.largest_after(4) == 0);
  CHECK(s.largest_after(UINT64_MAX) == 0);
}

TEST_CASE("who can be caught up: everything after its position is kept, and the position is one of "
          "this epoch") {
  stream s{"epoch", {3, 1'000'000, 1h}};
  CHECK(s.can_recover(0));
  CHECK_FALSE(s.can_recover(1));  // nobody can have that
  for (int i = 0; i < 5; ++i) s.append(of(1), start);
  CHECK(s.first() == 3);
  CHECK_FALSE(s.can_recover(0));
  CHECK_FALSE(s.can_recover(1));  // 2 is gone
  CHECK(s.can_recover(2));
  CHECK(s.can_recover(5));
  CHECK_FALSE(s.can_recover(6));
  CHECK(s.can_recover(5, "epoch"));
  CHECK_FALSE(s.can_recover(5, "another"));
  CHECK_FALSE(s.can_recover(UINT64_MAX));
}

TEST_CASE("bytes: the oldest go; what is larger than all of it is numbered and not kept") {
  stream s{"e", {100, 50, 1h}};
  const auto one = of(18);  // a frame of 20
  s.append(one, start);
  s.append(one, start);
  CHECK(s.bytes() == 40);
  s.append(one, start);
  CHECK(s.bytes() == 40);
  CHECK(s.first() == 2);
  CHECK(s.append(of(60), start) == 4);
  CHECK(s.size() == 0);
  CHECK(s.bytes() == 0);
  CHECK(s.first() == 5);
  CHECK_FALSE(s.can_recover(3));
  CHECK(s.can_recover(4));
}

TEST_CASE("age: dropped at trim and at append, and it says when") {
  stream s{"e", {100, 1'000, 10s}};
  CHECK(s.next_expiry() == protocol::time_point::max());
  s.append(of(1), start);
  s.append(of(1), start + 4s);
  CHECK(s.next_expiry() == start + 10s);
  s.trim(start + 10s - 1ms);
  CHECK(s.size() == 2);
  s.trim(start + 10s);
  CHECK(s.first() == 2);
  CHECK(s.next_expiry() == start + 14s);
  s.append(of(1), start + 20s);
  CHECK(s.first() == 3);
}

TEST_CASE("shrunk: the oldest go until it fits, and it says how many these were") {
  stream s{"e", roomy};
  for (int i = 0; i < 5; ++i) s.append(of(18), start);  // a frame of 20
  CHECK(s.shrink(100) == 0);
  CHECK(s.shrink(99) == 1);
  CHECK(s.first() == 2);
  CHECK(s.shrink(40) == 2);
  CHECK(s.bytes() == 40);
  CHECK(s.shrink(0) == 2);
  CHECK(s.top() == 5);
  CHECK(s.first() == 6);
}

TEST_CASE("a reader's position drops what is before it") {
  stream s{"e", roomy};
  for (int i = 0; i < 5; ++i) s.append(of(1), start);
  s.drop_until(3);
  CHECK(s.first() == 4);
  s.drop_until(99);
  CHECK(s.size() == 0);
  CHECK(s.top() == 5);
  CHECK(s.append(of(1), start) == 6);
  CHECK(s.at(6) != nullptr);
}

TEST_CASE("property: it is a plain queue with a number in front") {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    const protocol::stream_limits bounds{1 + random() % 20, 20 + random() % 500,
                                         std::chrono::milliseconds{1 + random() % 100}};
    stream s{"e", bounds};
    struct kept {
      std::string text;
      protocol::time_point at;
    };
    std::deque<kept> model;
    std::uint64_t top = 0;
    auto now = start;
    const auto bytes = [&] {
      std::size_t sum = 0;
      for (const auto& k : model) sum += message::text(k.text).frame().size();
      return sum;
    };
    for (int step = 0; step < 200; ++step) {
      now += std::chrono::milliseconds{random() % 20};
      const std::string text(random() % 60, 'a');
      while (!model.empty() && now - model.front().at >= bounds.age) model.pop_front();
      if (random() % 5 == 0) {
        s.trim(now);
        const std::size_t most = random() % (2 * bounds.bytes), before = model.size();
        while (bytes() > most) model.pop_front();
        REQUIRE(s.shrink(most) == before - model.size());
      } else {
        model.push_back({text, now});
        while (!model.empty() && (model.size() > bounds.messages || bytes() > bounds.bytes))
          model.pop_front();
        REQUIRE(s.append(message::text(text), now) == ++top);
      }
      REQUIRE(s.size() == model.size());
      REQUIRE(s.bytes() == bytes());
      REQUIRE(s.first() == top + 1 - model.size());
      for (std::size_t i = 0; i < model.size(); ++i)
        REQUIRE(s.at(s.first() + i)->view() == model[i].text);
      const auto asked = random() % (top + 3);
      REQUIRE(s.can_recover(asked) == (asked <= top && top - asked <= model.size()));
    }
  }
}

TEST_SUITE_END();
