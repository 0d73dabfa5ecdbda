#include <algorithm>
#include <chrono>
#include <cstdint>

#include <doctest/doctest.h>

#include "protocol/snapshot.hpp"

using namespace fairlead::protocol;

TEST_SUITE_BEGIN("protocol/event_record");

TEST_CASE("it keeps the last 32 events, oldest first") {
  event_record record;
  CHECK(record.in_order().empty());
  for (std::uint64_t added = 1; added <= 100; ++added) {
    record.add({std::chrono::milliseconds(added), "sent", added});
    const auto events = record.in_order();
    const std::uint64_t kept = std::min<std::uint64_t>(added, event_record::capacity);
    REQUIRE(events.size() == kept);
    for (std::uint64_t i = 0; i < kept; ++i) REQUIRE(events[i].detail == added - kept + 1 + i);
  }
}

TEST_SUITE_END();
