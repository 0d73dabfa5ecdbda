#include <string>

#include <doctest/doctest.h>

#include "tests/net/test_server.hpp"

using namespace fairlead;
using test::raw_client;

TEST_SUITE_BEGIN("net/handshake");

namespace {

struct upgrade_parts {
  std::string method = "GET", version = "HTTP/1.1", host = "Host: test\r\n",
              upgrade = "Upgrade: websocket\r\n", connection = "Connection: Upgrade\r\n",
              key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
              number = "Sec-WebSocket-Version: 13\r\n", more;
  [[nodiscard]] std::string text() const {
    return method + " /ws " + version + "\r\n" + host + upgrade + connection + key + number + more +
           "\r\n";
  }
};

test::http_reply reply_to(const std::string& address, const std::string& request) {
  raw_client client(address);
  client.send(request);
  auto reply = client.receive_reply();
  CHECK(client.ends_here());  // an error ends the connection, gracefully
  CHECK_FALSE(client.was_reset());
  return reply;
}

}  // namespace

TEST_CASE("a good request is answered with 101 and the right proof [RFC 6455 1.3, 4.2.2]") {
  const test::running_server server;
  raw_client client(server->address());
  const auto reply = client.upgrade();
  CHECK(reply.has("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
  CHECK(reply.has("Upgrade: websocket\r\n"));
  CHECK(reply.has("Server: Fairlead\r\n"));
  CHECK_FALSE(reply.has("Sec-WebSocket-Extensions"));
  server->line_of(0)->reports.await("upgraded");
  CHECK(server->listener->sockets() == 1);
}

TEST_CASE("names and tokens are compared without case, and lists are searched") {
  const test::running_server server;
  raw_client client(server->address());
  upgrade_parts request;
  request.upgrade = "upgrade: h2c, WebSocket\r\n";
  request.connection = "CONNECTION: keep-alive, uPgRaDe\r\n";
  client.send(request.text());
  CHECK(client.receive_reply().status == 101);
}

TEST_CASE("a bad upgrade request gets the status and the reason [RFC 6455 4.2.1]") {
  const test::running_server server;
  const auto check = [&](auto change, unsigned status, const char* reason) {
    upgrade_parts request;
    change(request);
    const auto reply = reply_to(server->address(), request.text());
    CHECK_MESSAGE(reply.status == status, request.text());
    CHECK_MESSAGE(reply.body.find(reason) != std::string::npos, reply.body);
    CHECK(reply.has("Server: Fairlead\r\n"));
    CHECK((reply.has("Connection: close\r\n") || reply.has("Connection: Upgrade, close\r\n")));
    return reply;
  };
  using parts = upgrade_parts;
  SUBCASE("method") {
    const auto reply = check([](parts& p) { p.method = "POST"; }, 405, "GET");
    CHECK(reply.has("Allow: GET\r\n"));
  }
  SUBCASE("HTTP/1.0") {
    check([](parts& p) { p.version = "HTTP/1.0"; }, 400, "HTTP/1.1");
  }
  SUBCASE("no Host") {
    check([](parts& p) { p.host = ""; }, 400, "Host");
  }
  SUBCASE("two Hosts") {
    check([](parts& p) { p.host += p.host; }, 400, "Host");
  }
  SUBCASE("no Upgrade") {
    check([](parts& p) { p.upgrade = ""; }, 400, "Upgrade");
  }
  SUBCASE("other Upgrade") {
    check([](parts& p) { p.upgrade = "Upgrade: h2c\r\n"; }, 400, "Upgrade");
  }
  SUBCASE("no Connection") {
    check([](parts& p) { p.connection = ""; }, 400, "Connection");
  }
  SUBCASE("other Connection") {
    check([](parts& p) { p.connection = "Connection: keep-alive\r\n"; }, 400, "Connection");
  }
  SUBCASE("no key") {
    check([](parts& p) { p.key = ""; }, 400, "Key");
  }
  SUBCASE("short key") {
    check([](parts& p) { p.key = "Sec-WebSocket-Key: c2hvcnQ=\r\n"; }, 400, "Key");
  }
  SUBCASE("long key") {
    check([](parts& p) { p.key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTEyMzQ1Ng==\r\n"; }, 400,
          "Key");
  }
  SUBCASE("key not base64") {
    check([](parts& p) { p.key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!Q==\r\n"; }, 400, "Key");
  }
  SUBCASE("two keys") {
    check([](parts& p) { p.key += p.key; }, 400, "Key");
  }
  SUBCASE("body") {
    check([](parts& p) { p.more = "Content-Length: 3\r\n"; }, 400, "body");
    check([](parts& p) { p.more = "Transfer-Encoding: chunked\r\n"; }, 400, "body");
  }
  SUBCASE("old version") {
    const auto reply =
        check([](parts& p) { p.number = "Sec-WebSocket-Version: 8\r\n"; }, 426, "13");
    CHECK(reply.has("Sec-WebSocket-Version: 13\r\n"));
    CHECK(reply.has("Upgrade: websocket\r\n"));
  }
  SUBCASE("no version") {
    check([](parts& p) { p.number = ""; }, 426, "13");
  }
  CHECK(raw_client(server->address()).upgrade().status == 101);  // and the server goes on
}

TEST_CASE("the service sees the request and may refuse it") {
  const test::running_server server;
  server->on_upgrade = [](const upgrade_request& request, const auto&) {
    std::string seen;
    for (const auto& [name, value] : request.headers) {
      if (name == "Cookie") seen = value;
    }
    const std::string body = std::string(request.target) + " " + std::string(request.path) + " " +
                             std::string(request.query) + " " + seen;
    return net::http_response{403, "text/plain", body, {{"X-Why", "test"}}};
  };
  raw_client client(server->address());
  client.send(raw_client::upgrade_request("/ws/a%20b?x=1", "Cookie: c\r\n"));
  const auto reply = client.receive_reply();
  CHECK(reply.status == 403);
  CHECK(reply.has("X-Why: test\r\n"));
  CHECK(reply.body == "/ws/a%20b?x=1 /ws/a%20b x=1 c");
}

TEST_CASE("a service that throws, or neither takes nor refuses, is a 500; a link dropped unopened "
          "a 503") {
  const test::running_server server;
  server->on_upgrade = [](const auto& request, auto& turn) -> std::optional<net::http_response> {
    if (request.path == "/throw") throw std::runtime_error("oh");
    if (request.path == "/drop") (void)turn.take();
    return std::nullopt;
  };
  CHECK(reply_to(server->address(), raw_client::upgrade_request("/throw")).status == 500);
  CHECK(reply_to(server->address(), raw_client::upgrade_request("/nothing")).status == 500);
  CHECK(reply_to(server->address(), raw_client::upgrade_request("/drop")).status == 503);
}

TEST_CASE("frames that come right behind the request, or with it byte by byte, are not lost") {
  const test::running_server server;
  server->prepare = [](test::line& l) {
    l.received = [](test::line& line, const message& m) {
      line.send(m);
      line.flush();
    };
  };
  const std::string all = raw_client::upgrade_request() + test::text_frame("one") +
                          test::text_frame(std::string(3000, 'x')) + test::ping_frame("two") +
                          test::text_frame("three");
  const auto check = [](raw_client& client) {
    CHECK(client.receive_reply().status == 101);
    CHECK(client.receive_frame()->payload == "one");
    CHECK(client.receive_frame()->payload.size() == 3000);
    CHECK(client.receive_frame()->opcode == 10);
    CHECK(client.receive_frame()->payload == "three");
  };
  SUBCASE("at once") {
    raw_client client(server->address());
    client.send(all);
    check(client);
  }
  SUBCASE("byte by byte") {
    raw_client client(server->address());
    for (const char c : all) client.send({&c, 1});
    check(client);
  }
}

TEST_SUITE_END();
