#include <array>

#include <doctest/doctest.h>

#include "service/text.hpp"

namespace fairlead::service {

using namespace std::chrono_literals;

TEST_SUITE("service/text") {
  TEST_CASE("bytes that are no UTF-8 become U+FFFD, the others stay") {
    CHECK(valid_utf8("") == "");
    CHECK(valid_utf8("plain \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x9A\xA2") ==
          "plain \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x9A\xA2");
    CHECK(valid_utf8("a\xFF"
                     "b") == "a\xEF\xBF\xBD"
                             "b");
    CHECK(valid_utf8("cut \xE2\x82") == "cut \xEF\xBF\xBD\xEF\xBF\xBD");
    CHECK_FALSE(decode_utf8("\xC0\xAF").valid);          // overlong
    CHECK_FALSE(decode_utf8("\xED\xA0\x80").valid);      // surrogate
    CHECK_FALSE(decode_utf8("\xF4\x90\x80\x80").valid);  // past U+10FFFF
  }

  TEST_CASE("quoted text cannot leave its quotes, its line or its order") {
    CHECK(in_quotes("so long") == R"("so long")");
    CHECK(in_quotes(R"(a"b\c)") == R"("a\"b\\c")");
    CHECK(in_quotes("a\nb\rc\td") == R"("a\nb\rc\td")");
    CHECK(in_quotes(std::string_view{"\0\x1b[31m\x7f", 7}) == R"("\u0000\u001b[31m\u007f")");
    CHECK(in_quotes("\xC2\x85") == R"("\u0085")");      // next line
    CHECK(in_quotes("\xE2\x80\xA8") == R"("\u2028")");  // line separator
    CHECK(in_quotes("\xE2\x80\xAE") == R"("\u202e")");  // right-to-left override
    CHECK(in_quotes("\xFF") == R"("\xff")");
    CHECK(in_quotes("\xC3\xA9") == "\"\xC3\xA9\"");
  }

  TEST_CASE("a text with quotes of its own cannot leave its line either") {
    CHECK(on_one_line("saw '\n', not \"\\\" \xFF") == R"(saw '\n', not "\" \xff)");
  }

  TEST_CASE("times are RFC 3339 in UTC with milliseconds") {
    using time_point = std::chrono::system_clock::time_point;
    CHECK(rfc3339(time_point{}) == "1970-01-01T00:00:00.000Z");
    CHECK(rfc3339(time_point{1'767'225'600'042ms}) == "2026-01-01T00:00:00.042Z");
    CHECK(rfc3339(time_point{-1ms}) == "1969-12-31T23:59:59.999Z");
  }

  TEST_CASE("durations and sizes in words") {
    CHECK(in_words(0ms) == "0 ms");
    CHECK(in_words(999ms) == "999 ms");
    CHECK(in_words(3'250ms) == "3.2 s");
    CHECK(in_words(245s) == "4 min 5 s");
    CHECK(in_words(130min) == "2 h 10 min");
    CHECK(in_words(76h) == "3 d 4 h");
    CHECK(bytes_in_words(1) == "1 byte");
    CHECK(bytes_in_words(1023) == "1023 bytes");
    CHECK(bytes_in_words(1536) == "1.5 KB");
    CHECK(bytes_in_words(3 * 1024 * 1024) == "3.0 MB");
  }

  TEST_CASE("a duration is a whole number and a unit") {
    CHECK(parse_duration("500ms") == 500ms);
    CHECK(parse_duration("10s") == 10s);
    CHECK(parse_duration("2m") == 2min);
    CHECK(parse_duration("1h") == 1h);
    CHECK(parse_duration("0s") == 0s);
    for (const auto* wrong : {"", "10", "s", "-1s", "+1s", "1.5s", "10 s", "10S", "1d", "1001h",
                              "99999999999999999999s", "9223372036854775807h"}) {
      CAPTURE(wrong);
      CHECK_FALSE(parse_duration(wrong).has_value());
    }
  }

  TEST_CASE("the nearest known word is suggested, a far one is not") {
    static constexpr std::array<std::string_view, 3> known{"limit", "state", "cursor"};
    CHECK(nearest("limt", known) == "limit");
    CHECK(nearest("stat", known) == "state");
    CHECK_FALSE(nearest("color", known).has_value());
    CHECK(did_you_mean("curser", known) == R"(; did you mean "cursor"?)");
    CHECK(did_you_mean("x", known) == "");
  }
}

}  // namespace fairlead::service
