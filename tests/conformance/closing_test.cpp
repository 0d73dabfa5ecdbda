#include "tests/conformance/exchange.hpp"

using namespace fairlead::test;

TEST_SUITE_BEGIN("conformance/closing");

TEST_CASE(
    "RFC 6455 5.5.1: a Close is answered with its code, and then the server ends the stream") {
  for (const unsigned code : {1000U, 1001U, 1002U, 1003U, 1007U, 1008U, 1009U, 1010U, 1011U, 1012U,
                              1013U, 3000U, 3001U, 3999U, 4000U, 4001U, 4999U}) {
    check({"code " + std::to_string(code), close_frame(code), {closed(code)}});
    check({"the same with a reason", close_frame(code, "because"), {closed(code)}});
  }
}

TEST_CASE("RFC 6455 5.5.1: a Close without a code; 7.1.5: 1005 is not sent") {
  for (const auto how : {compression::off, compression::agreed}) {
    auto client = open(how);
    client.send(encode_frame(8, ""));
    const auto answer = client.receive_frame();
    REQUIRE(answer);
    CHECK(answer->is_close());
    CHECK((answer->payload.empty() || answer->close_code() == 1000));
    CHECK(client.ends_here());
  }
}

TEST_CASE("RFC 6455 7.4.1, 7.4.2: a code that may not be sent breaks the protocol") {
  for (const unsigned code : {0U, 1U, 99U, 999U, 1004U, 1005U, 1006U, 1015U, 1016U, 1100U, 1999U,
                              2000U, 2999U, 5000U, 5001U, 9999U, 32768U, 65535U})
    check_refused("code " + std::to_string(code), close_frame(code), 1002);
}

// 1014 is in IANA's registry since, not in the RFC; Beast 1.81 takes it for reserved.
TEST_CASE("IANA's WebSocket Close Code Number Registry: 1014 is refused, cleanly") {
  check_refused("1014", close_frame(1014), 1002);
}

TEST_CASE("RFC 6455 5.5.1: one byte is no code") {
  for (const char byte : {'\0', '\x03', '\xff'})
    check_refused("one byte", encode_frame(8, {&byte, 1}), 1002);
}

TEST_CASE("RFC 6455 5.5.1, 8.1: a reason is UTF-8, of at most 123 bytes") {
  check({"123 bytes", close_frame(1000, std::string(123, 'x')), {closed(1000)}});
  check({"code points of every length",
         close_frame(1000, "\x24\xc2\xa2\xe2\x82\xac\xf0\x90\x8d\x88"),
         {closed(1000)}});
  for (const std::string bad :
       {"\xff", "\xc3", "caf\xe9", "\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80",
        "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"
        "\xed\xa0\x80\x65"})
    check_refused("a reason that is no UTF-8", close_frame(1000, bad), 1007);
  check_refused("124 bytes", close_frame(1000, std::string(124, 'x')), 1002);
}

TEST_CASE("RFC 6455 5.5.1, 1.4: what comes behind a Close is not looked at") {
  check({"a message", good_close + text_frame("late"), {closed(1000)}});
  check({"a ping", good_close + ping_frame("late"), {closed(1000)}});
  check({"a second Close", good_close + close_frame(1001), {closed(1000)}});
  check({"what breaks the protocol", good_close + encode_frame(3, "x"), {closed(1000)}});
  check({"fragments around it",
         encode_frame(1, "a", more) + good_close + encode_frame(0, "b") + ping_frame("late"),
         {closed(1000)}});
}

TEST_CASE("RFC 6455 5.5.1: messages before a Close are answered before it is") {
  check_answered("one", text_frame("hello"), {text("hello")});
  check_answered("three and a ping",
                 text_frame("a") + ping_frame("p") + text_frame("b") + encode_frame(2, "c"),
                 {text("a"), pong("p"), text("b"), binary("c")});
  const std::string large(256 * 1024, 'x');
  check_answered("256 KB", text_frame(large), {text(large)});
  check({"256 KB, and a ping behind the Close",
         text_frame(large) + good_close + ping_frame("late"),
         {text(large), closed(1000)}});
}

TEST_CASE("RFC 6455 7.1.1: the server closes the TCP connection first") {
  for (const auto how : {compression::off, compression::agreed}) {
    auto client = open(how);
    client.send(good_close);
    CHECK(client.receive_frame()->close_code() == 1000);
    CHECK(client.ends_here());  // this side has not closed
    CHECK_FALSE(client.was_reset());
  }
}

TEST_CASE("RFC 6455 7.1.6, 7.1.5: the server starts the closing handshake: it takes the answer, "
          "whatever comes before it") {
  for (int with = 0; with < 3; ++with) {
    // Draining is how an operator closes every connection: 1012.
    auto ended = std::make_unique<echo_program>();
    raw_client client(ended->address());
    client.upgrade();
    client.send(text_frame("hello"));
    CHECK(client.receive_frame()->payload == "hello");
    ended->drain();
    const auto close = client.receive_frame();
    REQUIRE(close);
    CHECK(close->is_close());
    CHECK(close->close_code() == 1012);
    if (with == 1) client.send(text_frame("crossed it") + ping_frame("this too"));
    client.send(close_frame(with == 2 ? 1000 : 1012));
    CHECK(client.ends_here());
    CHECK_FALSE(client.was_reset());
  }
}

TEST_CASE("RFC 6455 7.1.7: a stream that ends, or is reset, without a Close harms nobody else") {
  auto other = open(compression::off);
  for (const std::string& sent : {std::string{}, text_frame("x"), text_frame("x").substr(0, 3),
                                  std::string("\x81"), encode_frame(1, "x", more)}) {
    auto client = open(compression::off);
    client.send(sent);
    client.finish_sending();
    words last = answers(client, false);
    CHECK(last == (sent == text_frame("x") ? words{text("x")} : words{}));
    auto broken = open(compression::off);
    broken.send(sent);
    broken.reset();
  }
  other.send(text_frame("still there?") + good_close);
  CHECK(answers(other, false) == words{text("still there?"), closed(1000)});
}

TEST_SUITE_END();
