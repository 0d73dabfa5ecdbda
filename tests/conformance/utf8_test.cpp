#include "tests/conformance/exchange.hpp"

using namespace fairlead::test;

TEST_SUITE_BEGIN("conformance/utf8");

namespace {

std::string in_utf8(std::uint32_t point) {
  const auto tail = [&](unsigned shift) {
    return static_cast<char>(0x80U | (point >> shift & 0x3fU));
  };
  if (point < 0x80) return {static_cast<char>(point)};
  if (point < 0x800) return {static_cast<char>(0xc0U | point >> 6U), tail(0)};
  if (point < 0x10000) return {static_cast<char>(0xe0U | point >> 12U), tail(6), tail(0)};
  return {static_cast<char>(0xf0U | point >> 18U), tail(12), tail(6), tail(0)};
}

/// As one message, and cut in two at every place.
void check_text(const std::string& what, const std::string& payload) {
  check_answered(what, text_frame(payload), {text(payload)});
  for (std::size_t cut = 0; cut <= payload.size(); ++cut)
    check_answered(what + ", cut at " + std::to_string(cut),
                   encode_frame(1, payload.substr(0, cut), more) + ping_frame("p") +
                       encode_frame(0, payload.substr(cut)),
                   {pong("p"), text(payload)});
}

void check_no_text(const std::string& what, const std::string& payload) {
  check_refused(what, text_frame(payload), 1007);
  check_refused(what + ", behind other text", text_frame("text, then " + payload), 1007);
  if (payload.size() > 1)
    check_refused(what + ", in two",
                  encode_frame(1, payload.substr(0, 1), more) + encode_frame(0, payload.substr(1)),
                  1007);
  check_refused(what + ", behind an empty fragment",
                encode_frame(1, "", more) + encode_frame(0, payload), 1007);
  check_refused(what + ", before an empty fragment",
                encode_frame(1, payload, more) + encode_frame(0, ""), 1007);
  check_answered(what + ", which binary may be", encode_frame(2, payload), {binary(payload)});
}

/// How long the server waits with its answer: whether it comes although the message has not ended.
bool answered_before_the_end(const std::string& bytes, compression how = compression::off) {
  auto client = open(how);
  client.send(bytes);
  pollfd waited{client.descriptor(), POLLIN, 0};
  if (::poll(&waited, 1, 5'000) <= 0) return false;
  const auto answer = client.receive_frame();
  REQUIRE(answer);
  CHECK(answer->close_code() == 1007);
  return true;
}

}  // namespace

TEST_CASE("RFC 6455 5.6, RFC 3629 3: text of every length of code point, also cut within one") {
  check_text("Greek", "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5");
  check_text("German", "Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!");
  check_text("four bytes", "\xf0\x9f\x9a\x80\xf0\x90\x8d\x88");
  check_answered("nothing", text_frame(""), {text("")});
}

TEST_CASE("RFC 3629 3, 4: the first and the last code point of each length, and around the gaps") {
  for (const std::uint32_t point :
       {0x0U,     0x1U,     0x7fU,    0x80U,    0x7ffU,    0x800U,    0xfffU,   0x1000U,  0xcfffU,
        0xd000U,  0xd7ffU,  0xe000U,  0xfffdU,  0xfffeU,   0xffffU,   0xfdd0U,  0x10000U, 0x1fffeU,
        0x1ffffU, 0x3ffffU, 0x40000U, 0xfffffU, 0x100000U, 0x10fffeU, 0x10ffffU})
    check_text("U+" + std::to_string(point), in_utf8(point));
}

TEST_CASE("RFC 6455 8.1: text that is no UTF-8 fails the connection with 1007") {
  const std::vector<std::pair<std::string, std::string>> all{
      {"FF", "\xff"},
      {"FE", "\xfe"},
      {"FE FE FF FF", "\xfe\xfe\xff\xff"},
      {"a lone continuation", "\x80"},
      {"the last continuation", "\xbf"},
      {"two continuations", "\x80\xbf"},
      {"six continuations", "\x80\xbf\x80\xbf\x80\xbf"},
      {"C0", "\xc0 "},
      {"C1", "\xc1 "},
      {"a lead of two and a space", "\xc2 "},
      {"a lead of three and a space", "\xe1 "},
      {"a lead of four and a space", "\xf1 "},
      {"F5", "\xf5\x80\x80\x80"},
      {"five bytes", "\xf8\x88\x80\x80\x80"},
      {"six bytes", "\xfc\x84\x80\x80\x80\x80"},
      {"cut after one of two", "\xc2"},
      {"cut after one of three", "\xe2"},
      {"cut after two of three", "\xe2\x82"},
      {"cut after one of four", "\xf0"},
      {"cut after two of four", "\xf0\x9f"},
      {"cut after three of four", "\xf0\x9f\x9a"},
      {"a slash in two", "\xc0\xaf"},
      {"a slash in three", "\xe0\x80\xaf"},
      {"a slash in four", "\xf0\x80\x80\xaf"},
      {"the longest overlong two", "\xc1\xbf"},
      {"the longest overlong three", "\xe0\x9f\xbf"},
      {"the longest overlong four", "\xf0\x8f\xbf\xbf"},
      {"NUL in two", "\xc0\x80"},
      {"the first surrogate", "\xed\xa0\x80"},
      {"the last high surrogate", "\xed\xaf\xbf"},
      {"the first low surrogate", "\xed\xb0\x80"},
      {"the last surrogate", "\xed\xbf\xbf"},
      {"a pair of surrogates", "\xed\xa0\x80\xed\xb0\x80"},
      {"past U+10FFFF", "\xf4\x90\x80\x80"},
      {"far past it", "\xf7\xbf\xbf\xbf"},
      {"Latin-1", "caf\xe9!"},
      {"good text around a surrogate", "\xce\xba\xe1\xbd\xb9\xed\xa0\x80"
                                       "edited"},
  };
  for (const auto& [what, payload] : all) check_no_text(what, payload);
}

TEST_CASE("RFC 6455 8.1: it fails as soon as that is certain, before the message or frame ends") {
  const std::string good = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";
  const auto started =
      [](std::string_view payload) {  // the head of a long frame, and its beginning
        return encode_frame(1, payload, {.claimed_length = 70'000});
      };
  CHECK(answered_before_the_end(encode_frame(1, good, more) +
                                encode_frame(0, "\xf4\x90\x80\x80", more)));
  CHECK(answered_before_the_end(encode_frame(1, good + "\xf4", more) +
                                encode_frame(0, "\x90", more)));
  CHECK(answered_before_the_end(started(good + "\xf4\x90\x80\x80")));
  CHECK(answered_before_the_end(started(good + "\xf4\x90")));
  CHECK(answered_before_the_end(started("\xff")));
  CHECK(answered_before_the_end(started("\xed\xa0")));
  CHECK(answered_before_the_end(started("\xe0\x80")));
  CHECK(answered_before_the_end(started("\xc0")));
  CHECK(answered_before_the_end(started(good + "\xf4\x90"), compression::agreed));
}

TEST_SUITE_END();
