#include <string>

#include <doctest/doctest.h>

#include "protocol/frame_meter.hpp"
#include "tests/support/raw_client.hpp"

using namespace fairlead::protocol;
using fairlead::test::encode_frame;
using fairlead::test::frame_options;

TEST_SUITE_BEGIN("protocol/frame_meter");

namespace {

const frame_options more{.fin = false};
constexpr std::uint32_t many = 1000;

std::uint32_t frames_in_pieces(std::string_view bytes, std::size_t piece) {
  frame_meter meter;
  std::uint32_t frames = 0;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size())))
    frames += meter.read(bytes.substr(0, piece), many).frames;
  return frames;
}

}  // namespace

TEST_CASE("every frame counts once, of each form of length, however its bytes are cut up") {
  std::string bytes;
  std::uint32_t frames = 0;
  for (const std::size_t size : {0U, 1U, 125U, 126U, 127U, 1000U, 65535U, 65536U, 70000U}) {
    bytes += encode_frame(2, std::string(size, '\x81'));
    ++frames;
  }
  bytes += encode_frame(9, "ping") + encode_frame(10, "") + encode_frame(8, "");
  frames += 3;
  for (const std::size_t piece : {1U, 2U, 3U, 7U, 14U, 127U, 4096U, 1'000'000U})
    CHECK(frames_in_pieces(bytes, piece) == frames);
}

TEST_CASE("what comes behind a Close is not held against anybody [RFC 6455 5.5.1]") {
  frame_meter meter;
  std::string bytes = encode_frame(8, "");
  for (int i = 0; i < 5; ++i) bytes += encode_frame(0, "x", more);
  CHECK_FALSE(meter.read(bytes, 3).too_many_fragments);
}

TEST_CASE("fragments are counted per message, control frames between them are not [RFC 6455 5.4]") {
  frame_meter meter;
  const auto ok = [&](const std::string& bytes) {
    return !meter.read(bytes, 3).too_many_fragments;
  };
  for (int i = 0; i < 5; ++i) {
    CHECK(ok(encode_frame(1, "one", more) + encode_frame(9, "?") + encode_frame(0, "", more)));
    CHECK(ok(encode_frame(10, "") + encode_frame(10, "") + encode_frame(0, "three")));
    CHECK(ok(encode_frame(2, "whole") + encode_frame(1, "whole")));
  }
  CHECK(ok(encode_frame(2, "", more) + encode_frame(0, "", more) + encode_frame(0, "", more)));
  CHECK_FALSE(ok(encode_frame(0, "")));
}

TEST_CASE("too many fragments are seen behind whole messages, between others, and from then on") {
  frame_meter meter;
  const std::string bytes = encode_frame(1, "whole") + encode_frame(1, "a", more) +
                            encode_frame(0, "b", more) + encode_frame(0, "c") +
                            encode_frame(1, "whole");
  CHECK(meter.read(bytes, 2).too_many_fragments);
  CHECK(meter.read("", 2).too_many_fragments);
}

TEST_CASE("a length that no message has is no reason to lose count of anything but that frame") {
  frame_meter meter;
  const auto seen =
      meter.read(encode_frame(2, "", {.claimed_length = 0xffff'ffff'ffff'fff0ULL}), many);
  CHECK(seen.frames == 1);
  CHECK(meter.read(std::string(100'000, '\x81'), many).frames == 0);
}

TEST_CASE("a length with its highest bit set is noted, however it is cut up [RFC 6455 5.2]") {
  const auto noted = [](std::uint64_t length) {
    frame_meter meter;
    for (const char c : encode_frame(1, "before") + encode_frame(2, "", {.claimed_length = length}))
      static_cast<void>(meter.read({&c, 1}, many));
    return meter.impossible_length();
  };
  CHECK(noted(0x8000'0000'0000'0000ULL));
  CHECK(noted(0xffff'ffff'ffff'ffffULL));
  CHECK_FALSE(noted(0x7fff'ffff'ffff'ffffULL));
  CHECK_FALSE(noted(0x8000'0000ULL));
}

TEST_SUITE_END();
