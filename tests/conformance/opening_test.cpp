#include "tests/conformance/exchange.hpp"

using namespace fairlead::test;

TEST_SUITE_BEGIN("conformance/opening");

namespace {

using fields = std::vector<std::pair<std::string, std::string>>;

const fields good{{"Host", "localhost"},
                  {"Upgrade", "websocket"},
                  {"Connection", "Upgrade"},
                  {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                  {"Sec-WebSocket-Version", "13"}};

std::string request(const fields& all, std::string_view line = "GET /ws HTTP/1.1") {
  std::string text = std::string(line) + "\r\n";
  for (const auto& [name, value] : all) text += name + ": " + value + "\r\n";
  return text + "\r\n";
}
fields without(std::string_view name) {
  fields all;
  for (const auto& one : good)
    if (one.first != name) all.push_back(one);
  return all;
}
fields with(std::string_view name, std::string_view value) {
  fields all = good;
  for (auto& one : all)
    if (one.first == name) one.second = value;
  return all;
}
fields adding(const std::string& name, const std::string& value) {
  fields all = good;
  all.emplace_back(name, value);
  return all;
}

http_reply answer_to(const std::string& bytes, delivery how = delivery::at_once) {
  raw_client client(program(false).address());
  send(client, bytes, how);
  return client.receive_reply();
}

void check_opened(const std::string& what, const std::string& bytes) {
  CAPTURE(what);
  for (const auto how : {delivery::at_once, delivery::byte_by_byte, delivery::in_sevens}) {
    raw_client client(program(false).address());
    send(client, bytes, how);
    CHECK(client.receive_reply().status == 101);
    client.send(text_frame("hello") + good_close);
    CHECK(answers(client, false) == words{text("hello"), closed(1000)});
  }
}

/// The answer is no 101, and then the stream ends: what follows may be no HTTP.
http_reply check_rejected(const std::string& what, const std::string& bytes, unsigned status) {
  CAPTURE(what);
  raw_client client(program(false).address());
  client.send(bytes);
  const auto reply = client.receive_reply();
  CHECK(reply.status == status);
  CHECK_FALSE(reply.body.empty());  // says why
  CHECK(client.ends_here());
  return reply;
}

}  // namespace

TEST_CASE("RFC 6455 1.3, 4.2.2: the answer to a good request, and nothing that was not asked for") {
  const auto reply = answer_to(request(good));
  CHECK(reply.head.starts_with("HTTP/1.1 101 "));
  CHECK(reply.has("Upgrade: websocket\r\n"));
  CHECK(reply.has("Connection: upgrade\r\n"));
  CHECK(reply.has("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
  CHECK_FALSE(reply.has("Sec-WebSocket-Extensions"));
  CHECK_FALSE(reply.has("Sec-WebSocket-Protocol"));
  CHECK_FALSE(reply.has("Content-Length"));
  const auto other = answer_to(request(with("Sec-WebSocket-Key", "x3JJHMbDL1EzLkh9GBhXDw==")));
  CHECK(other.has("Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n"));
}

TEST_CASE("RFC 6455 4.2.1, RFC 9110 5: what may differ in a good request") {
  check_opened("as it should be", request(good));
  check_opened("names in small letters",
               "GET /ws HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
               "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n");
  check_opened("names in capitals",
               "GET /ws HTTP/1.1\r\nHOST: x\r\nUPGRADE: websocket\r\nCONNECTION: UPGRADE\r\n"
               "SEC-WEBSOCKET-KEY: dGhlIHNhbXBsZSBub25jZQ==\r\nSEC-WEBSOCKET-VERSION: 13\r\n\r\n");
  check_opened("no space behind the colon, more before the end",
               "GET /ws HTTP/1.1\r\nHost:x\r\nUpgrade:websocket\r\nConnection:Upgrade  \r\n"
               "Sec-WebSocket-Key:dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13 \r\n\r\n");
  check_opened("Upgrade: WebSocket", request(with("Upgrade", "WebSocket")));
  check_opened("several protocols to upgrade to", request(with("Upgrade", "h2c, websocket")));
  check_opened("a list of connection options", request(with("Connection", "keep-alive, Upgrade")));
  check_opened("in another order", request(with("Connection", "Upgrade, keep-alive")));
  check_opened("a query", request(good, "GET /ws?a=b&c=d HTTP/1.1"));
  check_opened("an extension that nobody knows",
               request(adding("Sec-WebSocket-Extensions", "x-unknown; a=1")));
  check_opened("subprotocols, of which none is chosen",
               request(adding("Sec-WebSocket-Protocol", "chat, superchat")));
  check_opened("fields that mean nothing here", request(adding("X-Anything", "at all")));
  check_opened("cookies and an agent", request(adding("Cookie", "a=b; c=d")));
}

TEST_CASE("RFC 6455 4.2.1: each required field, missing and wrong") {
  for (const auto* name : {"Host", "Upgrade", "Connection", "Sec-WebSocket-Key"})
    check_rejected(std::string("no ") + name, request(without(name)), 400);
  for (const auto* value : {"", "http", "websockets", "web socket"})
    check_rejected(value, request(with("Upgrade", value)), 400);
  for (const auto* value : {"", "close", "keep-alive", "Upgrades", "websocket"})
    check_rejected(value, request(with("Connection", value)), 400);
  for (const auto* key :
       {"", "x", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25jZS4=", "dGhlIHNhbXBsZSBub25j", "dGhlIHNhbXBs!SBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZSBsb25nZXI=", "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="})
    check_rejected(key, request(with("Sec-WebSocket-Key", key)), 400);
  check_rejected("two keys", request(adding("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")), 400);
  check_rejected("two hosts", request(adding("Host", "other")), 400);
}

TEST_CASE("RFC 6455 4.2.2, 4.4: a version that is not 13 is told which is: 426") {
  for (const auto* version : {"", "0", "7", "8", "12", "14", "25", "013", "1 3", "13, 8", "x"}) {
    const auto reply =
        check_rejected(version, request(with("Sec-WebSocket-Version", version)), 426);
    CHECK(reply.has("Sec-WebSocket-Version: 13\r\n"));
  }
  CHECK(check_rejected("none", request(without("Sec-WebSocket-Version")), 426)
            .has("Sec-WebSocket-Version: 13\r\n"));
  check_rejected("two", request(adding("Sec-WebSocket-Version", "8")), 426);
}

TEST_CASE("RFC 6455 4.1, 4.2.1: the method is GET, the version of HTTP 1.1") {
  for (const auto* method : {"POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH"}) {
    raw_client client(program(false).address());
    client.send(request(good, std::string(method) + " /ws HTTP/1.1"));
    const auto reply = client.receive_reply(true);
    CHECK(reply.status == 405);
    CHECK(reply.has("Allow: GET\r\n"));
  }
  check_rejected("1.0", request(good, "GET /ws HTTP/1.0"), 400);
  for (const auto* line : {"GET /ws HTTP/2.0", "GET /ws HTTP/0.9", "GET /ws", "GET  /ws HTTP/1.1",
                           "GET /ws HTTP/1.1 x", "GET ws HTTP/1.1", "/ws", ""}) {
    const auto status = answer_to(request(good, line)).status;
    CHECK_MESSAGE((status == 400 || status == 505), std::string(line));  // 505: not that version
  }
}

TEST_CASE("RFC 6455 4.2.2: a target that is none of the server's") {
  check_rejected("another path", request(good, "GET /nothing HTTP/1.1"), 404);
  check_rejected("longer", request(good, "GET /ws/x HTTP/1.1"), 404);
}

TEST_CASE("RFC 6455 10.2: a web page that is not known is refused: 403") {
  check_rejected("a page", request(adding("Origin", "https://example.com")), 403);
  check_rejected("no page at all", request(adding("Origin", "null")), 403);
}

TEST_CASE("RFC 9112 3, 5: what is no request gets 400, too much of one 431; the server goes on") {
  check_rejected("a space before the colon",
                 "GET /ws HTTP/1.1\r\nHost : x\r\nUpgrade: websocket\r\n\r\n", 400);
  check_rejected("no colon", "GET /ws HTTP/1.1\r\nHost x\r\n\r\n", 400);
  check_rejected("a control character", "GET /ws HTTP/1.1\r\nHost: x\x01y\r\n\r\n", 400);
  check_rejected("binary", std::string("\x00\x01\x02\x03\r\n\r\n", 8), 400);
  check_rejected("a long field", request(adding("X-Long", std::string(9'000, 'x'))), 431);
  check_rejected("a long target", "GET /" + std::string(9'000, 'x') + " HTTP/1.1\r\n\r\n", 431);
  auto many = good;
  for (int i = 0; i < 70; ++i) many.emplace_back("X-" + std::to_string(i), "y");
  check_rejected("many fields", request(many), 431);
  check_opened("after all of that", request(good));
}

TEST_CASE("RFC 6455 4.1: a body does not belong to an upgrade request") {
  check_rejected("a length", request(adding("Content-Length", "5")) + "hello", 400);
  check_rejected("chunks", request(adding("Transfer-Encoding", "chunked")) + "0\r\n\r\n", 400);
}

TEST_CASE("frames that come in the same segment as the request are read") {
  for (const auto how : {delivery::at_once, delivery::byte_by_byte, delivery::in_sevens}) {
    raw_client client(program(false).address());
    send(client, request(good) + text_frame("early") + ping_frame("p") + good_close, how);
    CHECK(client.receive_reply().status == 101);
    CHECK(answers(client, false) == words{text("early"), pong("p"), closed(1000)});
  }
}

TEST_SUITE_END();
