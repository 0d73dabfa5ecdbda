#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include <fairlead/message.hpp>

#include "protocol/chunk.hpp"
#include "protocol/frame.hpp"

using namespace fairlead;
using namespace std::string_literals;

TEST_SUITE_BEGIN("protocol/message");

TEST_CASE("a text message is its payload behind a server frame header [RFC 6455 5.2]") {
  const auto m = message::text("hello");
  CHECK(m.view() == "hello");
  CHECK(m.size() == 5);
  CHECK(m.kind() == message_kind::text);
  CHECK(m.frame() == "\x81\x05hello");
}

TEST_CASE("a binary message has opcode 2 and may hold any byte") {
  const std::array bytes{std::byte{0}, std::byte{0xff}, std::byte{0x80}};
  const auto m = message::binary(bytes);
  CHECK(m.kind() == message_kind::binary);
  CHECK(m.frame() == "\x82\x03\x00\xff\x80"s);
}

TEST_CASE("an empty message is a frame with no payload") {
  for (const auto& m : {message{}, message::text(""), message::make(message_kind::text, {})}) {
    CHECK(m.empty());
    CHECK(m.view() == "");
    CHECK(m.frame() == "\x81\x00"s);
    CHECK(m.storage() != nullptr);
  }
  CHECK(message::binary({}).frame() == "\x82\x00"s);
}

TEST_CASE("the length takes the shortest of the three forms [RFC 6455 5.2]") {
  const auto header_of = [](std::size_t payload) {
    const auto m = message::text(std::string(payload, 'x'));
    CHECK(m.size() == payload);
    CHECK(m.view() == std::string(payload, 'x'));
    return std::string(m.frame().substr(0, m.frame().size() - payload));
  };
  CHECK(header_of(125) == "\x81\x7d");
  CHECK(header_of(126) == "\x81\x7e\x00\x7e"s);
  CHECK(header_of(65'535) == "\x81\x7e\xff\xff");
  CHECK(header_of(65'536) == "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"s);
}

TEST_CASE("copies share the bytes, and the bytes outlive the message they came from") {
  auto original = std::make_unique<message>(message::text("shared"));
  const message copy = *original;
  CHECK(copy.frame().data() == original->frame().data());
  original.reset();
  CHECK(copy.view() == "shared");
}

TEST_CASE("a chunk made of a message shares its frame") {
  const auto m = message::text("once");
  const auto c = protocol::as_chunk(m);
  CHECK(c.view().data() == m.frame().data());
  CHECK(c.view() == m.frame());
  CHECK(c.frames == 1);
  CHECK(c.asked == nullptr);
}

TEST_SUITE_END();

TEST_SUITE("protocol/frame") {
  using namespace fairlead::protocol;

  TEST_CASE("the payload's length follows from the frame's length alone") {
    for (const std::size_t payload : {0u, 1u, 125u, 126u, 127u, 65'535u, 65'536u, 1'000'000u}) {
      CAPTURE(payload);
      CHECK(frame_payload_size(frame_header_size(payload) + payload) == payload);
    }
  }

  TEST_CASE("a Close frame carries the code in network order, then the reason [RFC 6455 5.5.1]") {
    CHECK(close_frame(close_code::normal, "bye").view() == "\x88\x05\x03\xe8"
                                                           "bye");
    CHECK(close_frame(close_code::going_away, "").view() == "\x88\x02\x03\xe9");
  }

  TEST_CASE("a Close frame is always a legal one [RFC 6455 5.5, 7.4.1]") {
    for (const auto never_sent :
         {close_code::no_status, close_code::abnormal, close_code{0}, close_code{999}}) {
      CHECK(close_frame(never_sent, "unused").view() == "\x88\x00"s);
    }
    const auto longest = close_frame(close_code::normal, std::string(max_close_reason, 'r'));
    CHECK(longest.view().size() == 2 + 125);
    CHECK(close_frame(close_code::normal, std::string(500, 'r')).view() == longest.view());
    // A two-byte character across the end is left out whole.
    const auto cut = close_frame(close_code::normal, std::string(max_close_reason - 1, 'r') + "é");
    CHECK(cut.view().size() == longest.view().size() - 1);
  }

  TEST_CASE("the opcode alone makes a Close frame, whatever the other bits say") {
    CHECK(is_close('\x88'));
    CHECK(is_close('\x08'));
    for (const char other : {'\x81', '\x82', '\x89', '\x8a', '\x80'}) CHECK_FALSE(is_close(other));
  }
}
