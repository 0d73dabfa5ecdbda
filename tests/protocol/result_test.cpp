#include <cstdint>
#include <limits>
#include <set>
#include <string_view>

#include <doctest/doctest.h>

#include <fairlead/connection.hpp>
#include <fairlead/result.hpp>

using namespace fairlead;

TEST_SUITE_BEGIN("protocol/result");

TEST_CASE("every result has a name of its own, which logs, metrics and JSON rely on") {
  std::set<std::string_view> sends;
  for (std::size_t i = 0; i < send_result_count; ++i)
    sends.insert(to_string(static_cast<send_result>(i)));
  CHECK(sends == std::set<std::string_view>{"written", "connecting", "accepted", "closing",
                                            "closed", "failed", "reconnecting", "overflow",
                                            "expired", "too_large", "no_such_connection"});
  CHECK(to_string(static_cast<send_result>(send_result_count)) == "unknown");

  std::set<std::string_view> closes;
  for (unsigned i = 0; i <= static_cast<unsigned>(close_result::invalid_code); ++i) {
    closes.insert(to_string(static_cast<close_result>(i)));
  }
  CHECK(closes == std::set<std::string_view>{"initiated", "already_closing", "already_closed",
                                             "no_such_connection", "invalid_code"});
  CHECK(to_string(static_cast<close_result>(99)) == "unknown");
}

TEST_CASE("a broadcast's counts add up to the connections addressed") {
  broadcast_summary one;
  one.add(send_result::written, 3);
  one.add(send_result::overflow);
  broadcast_summary other;
  other.add(send_result::written);
  other.add(send_result::closing, 2);
  one += other;
  CHECK(one.count(send_result::written) == 4);
  CHECK(one.count(send_result::closing) == 2);
  CHECK(one.addressed() == 7);
  CHECK(one.refused() == 3);
}

TEST_SUITE_END();

TEST_SUITE("protocol/connection_id") {
  TEST_CASE("an id and its text are each other's") {
    for (const auto id : {connection_id{0, 17}, connection_id{65'535, 1},
                          connection_id{3, std::numeric_limits<std::uint64_t>::max()}}) {
      CHECK(parse_connection_id(to_string(id)) == id);
    }
    CHECK(to_string(connection_id{0, 17}) == "c0-17");
  }

  TEST_CASE("nothing else names a connection") {
    for (const std::string_view text :
         {"", "c", "c0", "c0-", "c-1", "0-17", "C0-17", "c0-17 ", " c0-17", "c0-17x", "c0 17",
          "c+0-17", "c0--17", "c65536-1", "c0-18446744073709551616", "c00-17", "c0-017", "c0-0"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_connection_id(text).has_value());
    }
  }
}
