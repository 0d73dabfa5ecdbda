#include <doctest/doctest.h>

#include "tests/actors/harness.hpp"

using namespace fairlead;
using namespace fairlead::test;

TEST_SUITE_BEGIN("actors/connection");

TEST_CASE("open: what is sent is written, in order, in one flush") {
  harness h;
  auto c = h.open();
  REQUIRE(h.opened.size() == 1);
  std::vector<send_result> results;
  const auto flushes = c.link->flushes;
  c.handle.send(message::text("one"), [&](send_result r) { results.push_back(r); });
  c.handle.send(message::text("two"));
  h.run();
  CHECK(results == std::vector{send_result::written});
  CHECK(c.link->flushes == flushes + 1);
  const auto frames = frames_in(c.link->sent);
  REQUIRE(frames.size() == 2);
  CHECK(frames[0].payload == "one");
  CHECK(frames[1].payload == "two");
}

TEST_SUITE_END();
