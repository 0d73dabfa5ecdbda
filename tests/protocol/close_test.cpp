#include <cstdint>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include <fairlead/close.hpp>

using namespace fairlead;

TEST_SUITE_BEGIN("protocol/close");

TEST_CASE("which of all 65,536 codes may be sent [RFC 6455 7.4.1, 7.4.2, IANA registry]") {
  std::set<unsigned> defined{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014};
  for (unsigned number = 0; number <= 0xffff; ++number) {
    const bool expected = defined.contains(number) || (number >= 3000 && number <= 4999);
    if (may_be_sent(close_code{static_cast<std::uint16_t>(number)}) != expected)
      FAIL_CHECK("code " << number);
  }
}

TEST_CASE("a reason is valid UTF-8 that fits beside the code [RFC 6455 5.5, 5.5.1]") {
  CHECK(valid_close_reason(""));
  CHECK(valid_close_reason("går ned — strax tillbaka"));
  CHECK(valid_close_reason(std::string(123, 'r')));
  CHECK_FALSE(valid_close_reason(std::string(124, 'r')));
  CHECK_FALSE(valid_close_reason("\xff"));
  CHECK_FALSE(valid_close_reason("cut \xc3"));
}

TEST_CASE("every initiator has a name") {
  std::set<std::string_view> names;
  for (unsigned by = 0; by <= static_cast<unsigned>(initiator::transport); ++by) {
    names.insert(to_string(static_cast<initiator>(by)));
  }
  CHECK(names == std::set<std::string_view>{"application", "peer", "violation", "error", "limit",
                                            "shutdown", "transport"});
  CHECK(to_string(static_cast<initiator>(200)) == "unknown");
}

TEST_SUITE_END();
