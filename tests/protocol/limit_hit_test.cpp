#include <set>
#include <string>

#include <doctest/doctest.h>

#include "protocol/limit_hit.hpp"
#include "protocol/live_limits.hpp"

namespace fairlead::protocol {

TEST_SUITE("protocol/limit_hit") {
  TEST_CASE("every limit has a name of its own, fit for a metric's label") {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < limit_hit_count; ++i) {
      const auto name = to_string(static_cast<limit_hit>(i));
      CHECK(name != "unknown");
      CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos);
      CHECK(names.insert(name).second);
    }
  }

  TEST_CASE("each is counted for itself") {
    limit_hits hits;
    hits.add(limit_hit::overflow);
    hits.add(limit_hit::overflow, 3);
    hits.add(limit_hit::unauthorized);
    CHECK(hits.count(limit_hit::overflow) == 4);
    CHECK(hits.count(limit_hit::unauthorized) == 1);
    CHECK(hits.count(limit_hit::origin) == 0);
  }

  TEST_CASE("limits in force are those set last; who still reads older ones reads them whole") {
    live_limits bounds{{.max_connections = 1}};
    const auto& before = bounds.get();
    bounds.set({.max_connections = 2});
    CHECK(bounds.get().max_connections == 2);
    CHECK(before.max_connections == 1);
  }
}

}  // namespace fairlead::protocol
