#include <random>

#include "tests/conformance/exchange.hpp"

using namespace fairlead::test;

TEST_SUITE_BEGIN("conformance/compression");

namespace {

std::string prose(std::size_t size) {
  std::mt19937 random(11);
  std::string text;
  while (text.size() < size)
    text += "{\"id\": " + std::to_string(random() % 5000) + ", \"on\": true}, ";
  text.resize(size);
  return text;
}
std::string noise(std::size_t size) {
  std::mt19937 random(13);
  std::string bytes;
  while (bytes.size() < size) bytes += static_cast<char>(random());
  return bytes;
}

std::string offer(const std::string& parameters) {
  return "Sec-WebSocket-Extensions: permessage-deflate" + parameters + "\r\n";
}
std::string packed(std::string_view payload, unsigned opcode = 1) {
  return encode_frame(opcode, deflated(payload), {.reserved = rsv1});
}
std::string marked(std::string_view bytes, unsigned opcode = 1) {
  return encode_frame(opcode, bytes, {.reserved = rsv1});
}

/// What the server agreed to, and that it can be talked to after that. Empty: it declined.
std::string agreed(const std::string& request_fields, int window_bits = 15) {
  raw_client client(program(true).address());
  const auto reply = client.upgrade("/ws", request_fields);
  const std::string name = "Sec-WebSocket-Extensions: ";
  const auto at = reply.head.find(name);
  const bool yes = at != std::string::npos;
  const auto said = prose(3000);
  client.send((yes ? packed(said) : text_frame(said)) + text_frame("plain") + good_close);
  CHECK(answers(client, yes, window_bits) == words{text(said), text("plain"), closed(1000)});
  if (!yes) return {};
  const auto begin = at + name.size();
  return reply.head.substr(begin, reply.head.find("\r\n", begin) - begin);
}

/// On a connection with compression, at once and in pieces.
void check_packed(const std::string& what, const std::string& sent, words expected) {
  CAPTURE(what);
  for (const auto pieces : {delivery::at_once, delivery::byte_by_byte, delivery::in_sevens}) {
    if (pieces != delivery::at_once && sent.size() > most_in_pieces) continue;
    auto client = open(compression::agreed);
    send(client, sent, pieces);
    CHECK(answers(client, true) == expected);
  }
}
void check_packed_refused(const std::string& what, const std::string& sent, unsigned code) {
  check_packed(what, packed("before") + sent + text_frame("after"), {text("before"), closed(code)});
}

const std::string bare =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

}  // namespace

TEST_CASE("RFC 7692 7.1: every parameter, and all of them together in any order") {
  for (const std::string server_context : {"", "; server_no_context_takeover"})
    for (const std::string client_context : {"", "; client_no_context_takeover"})
      for (const std::string client_bits :
           {"", "; client_max_window_bits", "; client_max_window_bits=8",
            "; client_max_window_bits=9", "; client_max_window_bits=15"})
        for (const int server_bits : {0, 8, 9, 10, 11, 12, 13, 14, 15}) {
          const auto window =
              server_bits == 0 ? "" : "; server_max_window_bits=" + std::to_string(server_bits);
          const auto expected = server_bits == 0 || server_bits == 15 ? bare : bare + window;
          const int bits = server_bits == 0 ? 15 : server_bits;
          const auto forward = server_context + client_context + client_bits + window;
          const auto backward = window + client_bits + client_context + server_context;
          CAPTURE(forward);
          CHECK(agreed(offer(forward), bits) == expected);
          if (forward != backward) CHECK(agreed(offer(backward), bits) == expected);
        }
}

TEST_CASE("RFC 7692 7.1, 5.1: an offer with an invalid value, a duplicate or an unknown parameter "
          "is declined") {
  for (const auto* wrong : {"; server_no_context_takeover=1",
                            "; server_no_context_takeover=true",
                            "; client_no_context_takeover=0",
                            "; client_no_context_takeover=\"\"",
                            "; server_max_window_bits",
                            "; server_max_window_bits=",
                            "; server_max_window_bits=0",
                            "; server_max_window_bits=7",
                            "; server_max_window_bits=16",
                            "; server_max_window_bits=08",
                            "; server_max_window_bits=1e1",
                            "; server_max_window_bits=-9",
                            "; server_max_window_bits=+9",
                            "; server_max_window_bits=9.0",
                            "; server_max_window_bits=99999999999999999999",
                            "; server_max_window_bits=nine",
                            "; client_max_window_bits=",
                            "; client_max_window_bits=0",
                            "; client_max_window_bits=7",
                            "; client_max_window_bits=16",
                            "; client_max_window_bits=010",
                            "; client_max_window_bits=x",
                            "; unknown",
                            "; unknown=1",
                            "; server_max_window_bits=10; server_max_window_bits=10",
                            "; server_no_context_takeover; server_no_context_takeover",
                            "; client_no_context_takeover; client_no_context_takeover",
                            "; client_max_window_bits; client_max_window_bits=10"}) {
    CAPTURE(wrong);
    CHECK(agreed(offer(wrong)) == "");
    // What comes behind it as another offer is taken.
    CHECK(agreed(offer(std::string(wrong) + ", permessage-deflate; server_max_window_bits=10"),
                 10) == bare + "; server_max_window_bits=10");
  }
}

TEST_CASE(
    "RFC 7692 5.1, RFC 6455 9.1: several offers, the first that can be kept; other extensions") {
  CHECK(agreed("") == "");
  CHECK(agreed("Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n") == "");
  CHECK(agreed("Sec-WebSocket-Extensions: permessage-deflated\r\n") == "");
  CHECK(agreed("Sec-WebSocket-Extensions: permessage-bzip2, permessage-deflate\r\n") == bare);
  CHECK(agreed("Sec-WebSocket-Extensions: permessage-bzip2\r\n" + offer("")) == bare);
  CHECK(agreed(offer("; server_max_window_bits=9, permessage-deflate"), 9) ==
        bare + "; server_max_window_bits=9");
  CHECK(agreed(offer("; client_max_window_bits; server_max_window_bits=10, permessage-deflate; "
                     "client_max_window_bits, permessage-deflate"),
               10) == bare + "; server_max_window_bits=10");
  CHECK(agreed(offer(";server_max_window_bits=\"12\";client_max_window_bits"), 12) ==
        bare + "; server_max_window_bits=12");
  CHECK(agreed(offer(" ;\tserver_no_context_takeover ; client_max_window_bits = 15 ")) == bare);
}

TEST_CASE("RFC 7692 7.2: messages of every size and kind") {
  for (const std::size_t size :
       {0,   1,    2,    16,   64,   125,    126,    127,    255,    256,
        257, 1000, 1024, 4096, 8192, 16'384, 32'768, 65'535, 65'536, 131'072}) {
    const auto name = std::to_string(size);
    const auto said = prose(size), same = std::string(size, '*'), bytes = noise(size);
    check_packed(name, packed(said) + packed(same) + packed(bytes, 2) + good_close,
                 {text(said), text(same), binary(bytes), closed(1000)});
    check_packed(name + ", not compressed",
                 text_frame(said) + packed(said) + encode_frame(2, bytes) + good_close,
                 {text(said), text(said), binary(bytes), closed(1000)});
  }
}

TEST_CASE("RFC 7692 7.2.1: whatever window, level and blocks a client compresses with") {
  const auto said = prose(100'000);
  for (const int bits : {9, 10, 11, 12, 13, 14, 15})
    check_packed(std::to_string(bits), marked(deflated(said, bits)) + good_close,
                 {text(said), closed(1000)});
  // RFC 7692 7.2.3.1 to 7.2.3.5: the examples.
  check_packed("one block", marked(std::string("\xf2\x48\xcd\xc9\xc9\x07\x00", 7)) + good_close,
               {text("Hello"), closed(1000)});
  check_packed("in two fragments",
               encode_frame(1, "\xf2\x48\xcd", {.fin = false, .reserved = rsv1}) +
                   encode_frame(0, std::string("\xc9\xc9\x07\x00", 4)) + good_close,
               {text("Hello"), closed(1000)});
  check_packed("no compression",
               marked(std::string("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11)) + good_close,
               {text("Hello"), closed(1000)});
  check_packed("a block with BFINAL",
               marked(std::string("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8)) + good_close,
               {text("Hello"), closed(1000)});
  check_packed("two blocks",
               marked(std::string("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13)) +
                   good_close,
               {text("Hello"), closed(1000)});
}

TEST_CASE("RFC 7692 7.2.3.6: an empty message") {
  check_packed("as the RFC has it", marked(std::string(1, '\0')) + good_close,
               {text(""), closed(1000)});
  check_packed("a fixed block", marked(std::string("\x02\x00", 2)) + good_close,
               {text(""), closed(1000)});
  check_packed("no byte at all", marked("") + marked("", 2) + packed("x") + good_close,
               {text(""), binary(""), text("x"), closed(1000)});
  check_packed("fragments of it",
               encode_frame(1, "", {.fin = false, .reserved = rsv1}) + encode_frame(0, "", more) +
                   encode_frame(0, std::string(1, '\0')) + good_close,
               {text(""), closed(1000)});
}

TEST_CASE("RFC 7692 6.1: a compressed message in fragments, with control frames between") {
  const auto said = prose(600);
  const auto bytes = deflated(said);
  for (const std::size_t part : {1, 2, 7, 64}) {
    std::string sent;
    words expected;
    for (std::size_t at = 0; at < bytes.size(); at += part) {
      const bool first = at == 0;
      sent +=
          encode_frame(first ? 1 : 0, bytes.substr(at, part),
                       {.fin = false, .reserved = first ? std::uint8_t{rsv1} : std::uint8_t{0}});
      if (at % 5 == 0) {
        sent += ping_frame(std::to_string(at));
        expected.push_back(pong(std::to_string(at)));
      }
    }
    expected.push_back(text(said));
    expected.push_back(closed(1000));
    check_packed(std::to_string(part), sent + encode_frame(0, "") + good_close, expected);
  }
}

TEST_CASE("RFC 7692 6, 6.1: RSV1 where it means nothing fails the connection") {
  for (const unsigned opcode : {8U, 9U, 10U})
    check_packed_refused("a control frame", marked(opcode == 8 ? close_payload(1000) : "x", opcode),
                         1002);
  check_packed_refused("a continuation of a compressed message",
                       encode_frame(1, "\xf2\x48\xcd", {.fin = false, .reserved = rsv1}) +
                           marked(std::string("\xc9\xc9\x07\x00", 4), 0),
                       1002);
  check_packed_refused("a continuation of a plain one", encode_frame(1, "x", more) + marked("y", 0),
                       1002);
  check_packed_refused("a continuation of nothing", marked("y", 0), 1002);
  for (const std::uint8_t bits : {1, 2, 3, 5, 6, 7})
    check_packed_refused("with other bits", encode_frame(1, deflated("hello"), {.reserved = bits}),
                         1002);
  check_packed_refused("a reserved opcode", marked("x", 3), 1002);
  for (const auto how : {compression::off, compression::declined}) {
    auto client = open(how);
    client.send(packed("not agreed on"));
    CHECK(answers(client, false) == words{closed(1002)});
  }
}

TEST_CASE("RFC 7692 7.2.2: what cannot be inflated fails the connection") {
  const auto bytes = deflated(prose(2000));
  check_packed_refused("garbage", marked("\xff\xff\xff\xff", 2), 1007);
  check_packed_refused("a reserved type of block", marked("\x06"), 1007);
  check_packed_refused("a stored block whose length does not agree",
                       marked(std::string("\x00\x05\x00\x00\x00hello", 10)), 1007);
  for (const std::size_t size : {std::size_t{1}, bytes.size() / 3, bytes.size() - 2})
    check_packed_refused("cut at " + std::to_string(size), marked(bytes.substr(0, size)), 1007);
  check_packed_refused("a zlib header before it", marked("\x78\x9c" + bytes), 1007);
  check_packed_refused("a distance past the beginning", marked(std::string("\x02\x02\x00", 3)),
                       1007);
  // RFC 7692 7.2.3.2: good where a context is kept. Here it was agreed that none is.
  check_packed("one that reaches into the message before",
               packed("Hello") + marked(std::string("\xf2\x00\x11\x00\x00", 5)),
               {text("Hello"), closed(1007)});
}

TEST_CASE("RFC 6455 8.1, RFC 7692 6.2: the inflated text must be UTF-8") {
  for (const auto* bad : {"caf\xe9", "\xed\xa0\x80", "\xc0\x80", "\xe2\x82", "\xf4\x90\x80\x80"}) {
    check_packed_refused(bad, packed(bad), 1007);
    check_packed("as binary", packed(bad, 2) + good_close, {binary(bad), closed(1000)});
  }
  check_packed("compressed bytes are no text", packed("\xce\xba\xe1\xbd\xb9") + good_close,
               {text("\xce\xba\xe1\xbd\xb9"), closed(1000)});
}

TEST_CASE("RFC 7692 8: a bomb is 1009 while it is inflated, and costs no more than a message may") {
  const auto bomb = deflated(std::string(300U * 1024 * 1024, '\0'));
  CHECK(bomb.size() < 400'000);
  for (int i = 0; i < 8; ++i) {
    auto client = open(compression::agreed);
    client.send(marked(bomb, 2));
    CHECK(answers(client, false) == words{closed(1009)});
  }
  if (!std::getenv("ASAN_OPTIONS") && !std::getenv("TSAN_OPTIONS"))  // they keep what was freed
    CHECK(program(true).peak_memory() < 200U * 1024);
}

TEST_SUITE_END();
