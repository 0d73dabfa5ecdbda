#include <cstdint>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

#include "protocol/utf8.hpp"

using namespace fairlead::protocol;
using namespace std::string_view_literals;

namespace {

/// UTF-8 by the table of RFC 3629 section 3, with no care for what is allowed: `length` picks overlong forms.
std::string encoded(std::uint32_t point, unsigned length) {
  if (length == 1) return {static_cast<char>(point)};
  std::string bytes;
  for (unsigned i = 1; i < length; ++i, point >>= 6)
    bytes.insert(bytes.begin(), static_cast<char>(0x80 | (point & 0x3f)));
  const unsigned mark = 0xf00u >> length & 0xffu;
  return static_cast<char>(mark | point) + bytes;
}

unsigned shortest(std::uint32_t point) {
  return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
}

}  // namespace

TEST_SUITE_BEGIN("protocol/utf8");

TEST_CASE("every code point but the surrogates is valid in its shortest form and in no other [RFC "
          "3629 3]") {
  std::size_t wrong = 0;
  for (std::uint32_t point = 0; point <= 0x1fffff; ++point) {
    const bool is_character = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
    for (unsigned length = shortest(point); length <= 4; ++length) {
      if (valid_utf8(encoded(point, length)) != (is_character && length == shortest(point)))
        ++wrong;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("what is no sequence at all is refused") {
  for (const auto bytes :
       {"\x80"sv, "\xbf"sv, "\xc0\x80"sv, "\xf8\x88\x80\x80\x80"sv, "\xfc\x84\x80\x80\x80\x80"sv,
        "\xfe"sv, "\xff"sv, "\xed\xa0\x80\xed\xb0\x80"sv, "a\xc3z"sv, "\xe2\x28\xa1"sv}) {
    CHECK_FALSE(valid_utf8(bytes));
  }
}

TEST_CASE("a sequence that is cut off is refused, wherever it lies among other text") {
  for (const auto whole : {"é"sv, "€"sv, "😀"sv}) {
    for (std::size_t before = 0; before < 20; ++before) {
      const std::string text = std::string(before, 'a') + std::string(whole);
      CHECK(valid_utf8(text));
      CHECK(valid_utf8(text + std::string(20, 'z')));
      for (std::size_t cut = 1; cut < whole.size(); ++cut) {
        CHECK_FALSE(valid_utf8(std::string_view(text).substr(0, text.size() - cut)));
        CHECK_FALSE(valid_utf8(text.substr(0, text.size() - cut) + std::string(20, 'z')));
      }
    }
  }
}

TEST_CASE("clipping keeps whole code points") {
  CHECK(clip_utf8("short", 10) == "short");
  CHECK(clip_utf8("exact", 5) == "exact");
  CHECK(clip_utf8("longer", 4) == "long");
  CHECK(clip_utf8("a😀b", 4) == "a");
  CHECK(clip_utf8("a😀b", 5) == "a😀");
  CHECK(clip_utf8("é", 1) == "");
  CHECK(clip_utf8("x", 0) == "");
}

TEST_SUITE_END();
