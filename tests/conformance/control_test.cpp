#include "tests/conformance/exchange.hpp"

using namespace fairlead::test;

TEST_SUITE_BEGIN("conformance/control");

TEST_CASE("RFC 6455 5.5.2, 5.5.3: a ping is answered by a pong with the same data") {
  for (const std::size_t size : {0, 1, 2, 5, 100, 124, 125})
    check_answered(std::to_string(size) + " bytes", ping_frame(std::string(size, '*')),
                   {pong(std::string(size, '*'))});
  const std::string not_text{"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", 8};
  check_answered("bytes that are no text", ping_frame(not_text), {pong(not_text)});
}

TEST_CASE("RFC 6455 5.5.2: ten pings are answered in order") {
  std::string sent;
  words expected;
  for (int i = 0; i < 10; ++i) {
    sent += ping_frame("payload " + std::to_string(i));
    expected.push_back(pong("payload " + std::to_string(i)));
  }
  check_answered("ten", sent, expected);
  sent.clear();
  expected.clear();
  for (int i = 0; i < 300; ++i) {
    sent += ping_frame(std::to_string(i)) + text_frame("m");
    expected.push_back(pong(std::to_string(i)));
    expected.push_back(text("m"));
  }
  check_answered("three hundred, with messages between them", sent, expected);
}

TEST_CASE("RFC 6455 5.5.3: an unsolicited pong is not answered") {
  check_answered("empty", encode_frame(10, ""), {});
  check_answered("with data", encode_frame(10, "unasked"), {});
  check_answered("before and after a ping",
                 encode_frame(10, "a") + ping_frame("b") + encode_frame(10, "b"), {pong("b")});
}

TEST_CASE("RFC 6455 5.5: a control frame has at most 125 bytes") {
  for (const unsigned opcode : {8U, 9U, 10U})
    for (const std::size_t size : {126, 127, 1000, 65536}) {
      const auto payload = close_payload(1000, std::string(size - 2, 'x'));
      check_refused("opcode " + std::to_string(opcode) + ", " + std::to_string(size) + " bytes",
                    encode_frame(opcode, payload), 1002);
    }
}

TEST_CASE("RFC 6455 5.5: a control frame is not fragmented") {
  for (const unsigned opcode : {8U, 9U, 10U}) {
    const auto payload = close_payload(1000);
    check_refused("opcode " + std::to_string(opcode), encode_frame(opcode, payload, more), 1002);
    check_refused("an empty one", encode_frame(opcode, "", more), 1002);
    check_refused("with its continuation",
                  encode_frame(opcode, payload, more) + encode_frame(0, "y"), 1002);
    check_refused("within a message",
                  encode_frame(1, "x", more) + encode_frame(opcode, payload, more) +
                      encode_frame(0, "y"),
                  1002);
  }
}

TEST_SUITE_END();
