#include <set>

#include <doctest/doctest.h>

#include "protocol/loop_metrics.hpp"

namespace fairlead::protocol {

using namespace std::chrono_literals;

TEST_SUITE("protocol/loop_metrics") {
  TEST_CASE("a duration is counted in the first bucket that it fits into; sums are exact") {
    histogram h;
    h.add(0us);
    h.add(1ms);
    h.add(1001us);
    h.add(10s);
    h.add(11s);
    CHECK(h.count(0) == 2);
    CHECK(h.count(1) == 1);
    CHECK(h.count(histogram::bounds.size() - 1) == 1);
    CHECK(h.count(histogram::bounds.size()) == 1);
    CHECK(h.count() == 5);
    CHECK(h.sum() == 21'002'001us);
    histogram twice = h;
    twice += h;
    CHECK(twice.count() == 10);
    CHECK(twice.sum() == 2 * h.sum());
  }

  TEST_CASE("whatever code a peer makes up, there are few labels") {
    std::set<std::string_view> labels;
    for (unsigned code = 0; code <= 0xffff; ++code) labels.insert(code_label(close_code(code)));
    CHECK(labels.size() == 23);
    CHECK(code_label(close_code::slow_consumer) == "3008");
    CHECK(code_label(close_code{3009}) == "3xxx");
    CHECK(code_label(close_code{4999}) == "4xxx");
    CHECK(code_label(close_code::abnormal) == "1006");
  }

  TEST_CASE("an end is counted with the severity that its log line has") {
    CHECK(key_of({close_code::internal_error, "", initiator::error, false}).level ==
          severity::error);
    CHECK(key_of({close_code::normal, "", initiator::peer, true}).level == severity::info);
  }
}

}  // namespace fairlead::protocol
