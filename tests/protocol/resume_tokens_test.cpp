#include <chrono>
#include <string>

#include <doctest/doctest.h>

#include "protocol/resume_tokens.hpp"

using namespace std::chrono_literals;
using fairlead::protocol::resume_tokens;
using fairlead::protocol::time_point;

namespace {
constexpr time_point start{1h};
}

TEST_SUITE_BEGIN("protocol/resume_tokens");

TEST_CASE("good as issued, until it expires; nothing else is") {
  resume_tokens t{10s, 1};
  CHECK_FALSE(t.good("", start));
  t.issue("first", start);
  CHECK(t.good("first", start));
  CHECK(t.good("first", start + 10s - 1ms));
  CHECK_FALSE(t.good("first", start + 10s));
  for (const auto* bad : {"", "f", "firs", "firsu", "First", "first "})
    CHECK_FALSE(t.good(bad, start));
}

TEST_CASE("it rotates: the one that was used stays good until its successor is used") {
  resume_tokens t{10s, 1};
  t.issue("a", start);
  t.rotate("a", "b", start);
  CHECK(t.good("a", start));  // the client may have lost its socket before it read "b"
  CHECK(t.good("b", start));
  t.rotate("b", "c", start);
  CHECK_FALSE(t.good("a", start));
  CHECK(t.good("b", start));
  CHECK(t.good("c", start));
}

TEST_CASE("a token that a socket holds does not expire before that socket is gone") {
  resume_tokens t{10s, 1};
  t.issue("a", start);
  const auto held = t.rotate("a", "b", start);
  CHECK_FALSE(t.good("a", start + 10s));
  CHECK(t.good("b", start + 24h));
  t.release(held, start + 24h);
  CHECK(t.good("b", start + 24h + 9s));
  CHECK_FALSE(t.good("b", start + 24h + 10s));
}

TEST_CASE("bounded: the oldest that no socket holds goes first") {
  resume_tokens t{10s, 1};
  t.issue("held by", start);
  t.rotate("held by", "held", start);
  constexpr auto many = 3 * resume_tokens::spare;
  for (std::size_t i = 0; i < many; ++i) t.issue("t" + std::to_string(i), start);
  CHECK(t.good("held", start));
  CHECK_FALSE(t.good("held by", start));
  CHECK_FALSE(t.good("t0", start));
  CHECK(t.good("t" + std::to_string(many - 1), start));
}

TEST_SUITE_END();

TEST_CASE("a client whose sockets break before they tell it anything comes back with the same one "
          "for ever") {
  resume_tokens t{10s, 1};
  t.issue("a", start);
  for (std::size_t i = 0; i < 5 * resume_tokens::spare; ++i) {
    REQUIRE(t.good("a", start));
    t.release(t.rotate("a", "unseen " + std::to_string(i), start), start);
  }
}

TEST_CASE("as many sockets as there may be keep what they hold, and what they came with") {
  constexpr std::size_t sockets = 20;
  resume_tokens t{10s, sockets};
  for (std::size_t i = 0; i < sockets; ++i) {
    const auto name = std::to_string(i);
    t.issue("issued " + name, start);
    CHECK(t.number_of("held " + name) == 0);
    const auto number = t.rotate("issued " + name, "held " + name, start);
    CHECK(t.number_of("held " + name) == number);
  }
  for (std::size_t i = 0; i < 2 * resume_tokens::spare; ++i) t.issue("more", start);
  for (std::size_t i = 0; i < sockets; ++i) CHECK(t.good("held " + std::to_string(i), start));
}
