#include "tests/conformance/exchange.hpp"

using namespace fairlead::test;

TEST_SUITE_BEGIN("conformance/framing");

namespace {

/// Printable, and different at every place.
std::string some(std::size_t size) {
  std::string bytes;
  bytes.reserve(size + 8);
  for (std::size_t i = 0; bytes.size() < size; ++i) bytes += std::to_string(i * 7919) + ",";
  bytes.resize(size);
  return bytes;
}

/// A frame whose length is written in so many bytes, needed or not.
std::string with_length_in(unsigned width, unsigned opcode, std::string_view payload,
                           std::uint64_t length) {
  std::string bytes{static_cast<char>(0x80U | opcode), static_cast<char>(width == 2 ? 0xfe : 0xff)};
  for (unsigned i = width; i-- > 0;) bytes += static_cast<char>(length >> 8U * i);
  return bytes.append(4, '\0').append(payload);
}
std::string with_length_in(unsigned width, unsigned opcode, std::string_view payload) {
  return with_length_in(width, opcode, payload, payload.size());
}

std::string masked_with(std::string_view key, std::string_view payload) {
  std::string bytes{'\x81', static_cast<char>(0x80U | payload.size())};
  bytes += key;
  for (std::size_t i = 0; i < payload.size(); ++i)
    bytes += static_cast<char>(payload[i] ^ key[i % 4]);
  return bytes;
}

}  // namespace

TEST_CASE("RFC 6455 5.2: a payload of every length, around each form of length") {
  for (const std::size_t size :
       {0,    1,    2,    3,     4,     5,     6,     7,     8,     9,     111,
        112,  113,  124,  125,   126,   127,   128,   255,   256,   1535,  1536,
        4095, 4096, 4097, 32767, 32768, 65534, 65535, 65536, 65537, 131072}) {
    const auto payload = some(size);
    check_answered("text of " + std::to_string(size), text_frame(payload), {text(payload)});
    check_answered("binary of " + std::to_string(size), encode_frame(2, payload),
                   {binary(payload)});
  }
}

TEST_CASE("RFC 6455 5.2: the minimal number of bytes must be used for the length") {
  for (const std::size_t size : {0, 1, 125}) {
    check_refused("16 bits for " + std::to_string(size), with_length_in(2, 1, some(size)), 1002);
    check_refused("64 bits for " + std::to_string(size), with_length_in(8, 2, some(size)), 1002);
  }
  for (const std::size_t size : {126, 127, 65535})
    check_refused("64 bits for " + std::to_string(size), with_length_in(8, 1, some(size)), 1002);
  check_answered("16 bits for 126", with_length_in(2, 1, some(126)), {text(some(126))});
  check_answered("64 bits for 65536", with_length_in(8, 1, some(65536)), {text(some(65536))});
}

TEST_CASE("RFC 6455 5.2: the highest bit of a 64-bit length must be 0") {
  for (const std::uint64_t length :
       {0x8000'0000'0000'0000ULL, 0x8000'0000'0000'0005ULL, 0xffff'ffff'ffff'ffffULL}) {
    check_refused("on a message", with_length_in(8, 2, "hello", length), 1002);
    check_refused("on a text message", with_length_in(8, 1, "hello", length), 1002);
    check_refused("on a continuation",
                  encode_frame(2, "x", more) + with_length_in(8, 0, "hello", length), 1002);
    check_refused("on a control frame", with_length_in(8, 9, "hello", length), 1002);
  }
}

TEST_CASE("RFC 6455 5.2: a length that is not followed by its bytes costs nothing; 7.4.1: 1009") {
  check_refused("2^62 bytes", with_length_in(8, 2, "hello", 1ULL << 62U), 1009);
  check_refused("2^32 bytes", with_length_in(8, 1, "hello", 1ULL << 32U), 1009);
  check_refused("2^62 bytes of a continuation",
                encode_frame(2, "x", more) + with_length_in(8, 0, "hello", 1ULL << 62U), 1009);
}

TEST_CASE("RFC 6455 5.1: a client's frame that is not masked closes the connection") {
  for (const unsigned opcode : {1U, 2U, 8U, 9U, 10U}) {
    check_refused("opcode " + std::to_string(opcode),
                  encode_frame(opcode, opcode == 8 ? close_payload(1000) : "x", {.masked = false}),
                  1002);
    check_refused("empty, opcode " + std::to_string(opcode),
                  encode_frame(opcode, "", {.masked = false}), 1002);
  }
  check_refused("a continuation",
                encode_frame(1, "x", more) + encode_frame(0, "y", {.masked = false}), 1002);
}

TEST_CASE("RFC 6455 5.3: any masking key, at any place in the payload") {
  for (const std::string_view key :
       {std::string_view{"\0\0\0\0", 4}, std::string_view{"\xff\xff\xff\xff"},
        std::string_view{"\x01\x02\x03\x04"}, std::string_view{"\x80\0\0\x01", 4}}) {
    std::string sent;
    words expected;
    for (std::size_t size = 0; size < 10; ++size) {
      sent += masked_with(key, some(size));
      expected.push_back(text(some(size)));
    }
    check_answered("ten messages", sent, expected);
  }
}

TEST_CASE("RFC 6455 5.2: a reserved bit without an extension that means it fails the connection") {
  for (std::uint8_t bits = 1; bits < 8; ++bits) {
    const frame_options marked{.reserved = bits};
    for (const unsigned opcode : {8U, 9U, 10U}) {
      const std::string payload = opcode == 8 ? close_payload(1000) : "x";
      check_refused("control frame " + std::to_string(opcode) + ", bits " + std::to_string(bits),
                    encode_frame(opcode, payload, marked), 1002);
    }
    check_refused("a continuation, bits " + std::to_string(bits),
                  encode_frame(1, "x", more) + encode_frame(0, "y", marked), 1002);
    if (bits == rsv1) continue;  // with permessage-deflate it means something: compression_test.cpp
    for (const unsigned opcode : {1U, 2U}) {
      check_refused("data frame " + std::to_string(opcode) + ", bits " + std::to_string(bits),
                    encode_frame(opcode, "hello", marked), 1002);
      check_refused("an empty one", encode_frame(opcode, "", marked), 1002);
      check_refused("a first fragment",
                    encode_frame(opcode, "hello", {.fin = false, .reserved = bits}), 1002);
    }
  }
}

TEST_CASE("RFC 6455 5.2: an opcode that is reserved fails the connection") {
  for (const unsigned opcode : {3U, 4U, 5U, 6U, 7U, 11U, 12U, 13U, 14U, 15U}) {
    const auto name = "opcode " + std::to_string(opcode);
    check_refused(name, encode_frame(opcode, "reserved"), 1002);
    check_refused(name + ", empty", encode_frame(opcode, ""), 1002);
    check_refused(name + ", a fragment", encode_frame(opcode, "x", more), 1002);
    check_refused(name + ", within a message",
                  encode_frame(1, "x", more) + encode_frame(opcode, "y"), 1002);
  }
}

TEST_CASE("RFC 6455 5.4: a message in fragments is one message, whatever their sizes") {
  for (const unsigned opcode : {1U, 2U}) {
    const auto of = [&](std::string_view payload) {
      return opcode == 1 ? text(payload) : binary(payload);
    };
    const auto in = [&](const std::vector<std::string>& pieces) {
      std::string sent;
      for (std::size_t i = 0; i < pieces.size(); ++i)
        sent += encode_frame(i == 0 ? opcode : 0, pieces[i], {.fin = i + 1 == pieces.size()});
      return sent;
    };
    check_answered("two", in({"hello, ", "world"}), {of("hello, world")});
    check_answered("three", in({"a", "b", "c"}), {of("abc")});
    check_answered("nothing at all", in({"", "", ""}), {of("")});
    check_answered("nothing at all, in two", in({"", ""}), {of("")});
    check_answered("empty in the middle", in({"a", "", "c"}), {of("ac")});
    check_answered("empty first", in({"", "b"}), {of("b")});
    check_answered("empty last", in({"a", ""}), {of("a")});
    check_answered("empty first and last", in({"", "", "b", "", ""}), {of("b")});
    const auto all = some(300);
    std::vector<std::string> single;
    for (const char c : all.substr(0, 100)) single.emplace_back(1, c);
    check_answered("a hundred of one byte", in(single), {of(all.substr(0, 100))});
    check_answered("each with a longer form of length", in({some(125), some(126), some(65536)}),
                   {of(some(125) + some(126) + some(65536))});
    check_answered("one after the other", in({"a", "b"}) + in({"c", "d"}) + text_frame("e"),
                   {of("ab"), of("cd"), text("e")});
  }
}

TEST_CASE("RFC 6455 5.4: control frames may come between fragments, and are answered at once") {
  const auto a = encode_frame(1, "a", more), b = encode_frame(0, "b", more),
             c = encode_frame(0, "c");
  check_answered("a ping", a + ping_frame("p") + c, {pong("p"), text("ac")});
  check_answered("two pings", a + ping_frame("p") + b + ping_frame("q") + c,
                 {pong("p"), pong("q"), text("abc")});
  check_answered("a pong", a + encode_frame(10, "p") + c, {text("ac")});
  check_answered("a ping around empty fragments",
                 encode_frame(2, "", more) + ping_frame("") + encode_frame(0, "", more) +
                     ping_frame("x") + encode_frame(0, ""),
                 {pong(""), pong("x"), binary("")});
  check({"a Close: the message is nobody's", a + good_close + c, {closed(1000)}});
}

TEST_CASE("RFC 6455 5.4: a continuation of nothing fails the connection") {
  check_refused("the last of nothing", encode_frame(0, "x"), 1002);
  check_refused("a first of nothing", encode_frame(0, "x", more), 1002);
  check_refused("an empty one", encode_frame(0, ""), 1002);
  check_refused("behind a whole message", text_frame("x") + encode_frame(0, "y"), 1002,
                {text("x")});
  check_refused("behind the last fragment",
                encode_frame(1, "x", more) + encode_frame(0, "y") + encode_frame(0, "z"), 1002,
                {text("xy")});
  check_refused("behind a ping", ping_frame("p") + encode_frame(0, "y"), 1002, {pong("p")});
}

TEST_CASE("RFC 6455 5.4: a message does not begin within another") {
  for (const unsigned opcode : {1U, 2U}) {
    check_refused("whole", encode_frame(1, "x", more) + encode_frame(opcode, "y"), 1002);
    check_refused("a fragment", encode_frame(2, "x", more) + encode_frame(opcode, "y", more), 1002);
    check_refused("after a ping",
                  encode_frame(1, "", more) + ping_frame("p") + encode_frame(opcode, ""), 1002,
                  {pong("p")});
  }
}

TEST_CASE("RFC 6455 5: many messages at once come back, each once and in order") {
  std::string sent;
  words expected;
  for (int i = 0; i < 1000; ++i) {
    const auto payload = some(static_cast<std::size_t>(i * 31 % 400));
    sent += encode_frame(i % 2 == 0 ? 1 : 2, payload);
    expected.push_back(i % 2 == 0 ? text(payload) : binary(payload));
  }
  check_answered("a thousand", sent, expected);
}

TEST_SUITE_END();
