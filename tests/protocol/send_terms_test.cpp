#include <chrono>

#include <doctest/doctest.h>

#include "protocol/chunk.hpp"
#include "protocol/send_terms.hpp"

using namespace fairlead;
using namespace fairlead::protocol;
using namespace std::chrono_literals;

namespace {
constexpr time_point now{1h};
}

TEST_SUITE_BEGIN("protocol/send_terms");

TEST_CASE("an ordinary message has no terms and no tag") {
  CHECK(make_terms({}, now) == nullptr);
  CHECK(make_terms({.refused_ids = 10}, now) == nullptr);  // the summary's, not the queue's
  CHECK(as_chunk(message::text("x")).tag == 0);
  CHECK(as_chunk(message::text("x")).terms() == nullptr);
}

TEST_CASE("a time to live is counted from now, and has bounds at both ends") {
  CHECK(make_terms({.ttl = 5ms}, now)->expires == now + 5ms);
  CHECK(make_terms({.ttl = -5ms}, now)->expires == now);
  CHECK(make_terms({.ttl = std::chrono::milliseconds::max()}, now)->expires > now + 24h);
  CHECK(make_terms({.policy = slow_policy::drop_newest}, now)->expires == time_point::max());
}

TEST_CASE("a key implies keep_latest, and means nothing with another policy") {
  const auto keyed = make_terms({.key = "price"}, now);
  CHECK(keyed->policy == slow_policy::keep_latest);
  CHECK(keyed->key == "price");
  CHECK(keyed->tag == make_terms({.key = "price"}, now)->tag);
  CHECK(make_terms({.policy = slow_policy::drop_oldest, .key = "price"}, now)->key.empty());
  CHECK(make_terms({.policy = slow_policy::drop_oldest}, now)->tag != 0);
}

TEST_CASE("policies have the names that configuration and JSON use") {
  for (const auto policy : {slow_policy::disconnect, slow_policy::drop_newest,
                            slow_policy::drop_oldest, slow_policy::keep_latest})
    CHECK(parse_slow_policy(to_string(policy)) == policy);
  CHECK(to_string(slow_policy::keep_latest) == "keep_latest");
  CHECK_FALSE(parse_slow_policy("wait"));
  CHECK_FALSE(parse_slow_policy(""));
}

TEST_SUITE_END();
