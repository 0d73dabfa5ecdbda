#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "tests/net/hand_turned_loop.hpp"
#include "tests/net/test_server.hpp"

using namespace fairlead;
using namespace std::chrono_literals;
using test::raw_client;

TEST_SUITE_BEGIN("net/http");

namespace {

std::string get(const std::string& target, const std::string& more = {}) {
  return "GET " + target + " HTTP/1.1\r\nHost: test\r\n" + more + "\r\n";
}

/// The answer to bytes after which the server ends the connection by itself.
test::http_reply refusal_of(const std::string& address, const std::string& bytes) {
  raw_client client(address);
  (void)client.try_send(bytes);
  auto reply = client.receive_reply();
  CHECK(client.ends_here());
  CHECK_FALSE(client.was_reset());
  CHECK_FALSE(reply.body.empty());
  return reply;
}

}  // namespace

TEST_CASE("requests on one connection are answered in turn, pipelined ones too") {
  const test::running_server server;
  raw_client client(server->address());
  client.send(get("/a%20b?q=%20"));
  CHECK(client.receive_reply().body == "GET /a b?q=%20 ");
  client.send(get("/1") + "POST /2 HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody" +
              get("http://test/3?x"));
  CHECK(client.receive_reply().body == "GET /1? ");
  CHECK(client.receive_reply().body == "POST /2? body");
  CHECK(client.receive_reply().body == "GET /3?x ");
}

TEST_CASE("a chunked body arrives whole, and 100-continue is answered") {
  const test::running_server server;
  raw_client client(server->address());
  client.send("POST /p HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nExpect: "
              "100-continue\r\n\r\n");
  CHECK(client.receive_reply().status == 100);
  client.send("3\r\nabc\r\n");
  client.send("2\r\nde\r\n0\r\n\r\n");
  CHECK(client.receive_reply().body == "POST /p? abcde");
}

TEST_CASE("100-continue comes whole and in its place, also to a client that reads late") {
  // However many answers the client has not read: with some number of them there is no room for this one.
  const auto service = std::make_shared<test::test_server>();
  const std::string asked =
      "POST /p HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
  for (int before = 0; before < 20; ++before) {
    CAPTURE(before);
    test::hand_turned_session client(service, 4608);
    for (int i = 0; i < before; ++i) client.sends(get("/" + std::to_string(i)));
    client.sends(asked + "de");
    const auto all = client.receive_all();
    const auto last = all.find("GET /" + std::to_string(before - 1) + "? ");
    const auto invited = all.find("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200");
    const auto answered = all.find("POST /p? de");
    CHECK((before == 0 || last < invited));
    CHECK(invited < answered);
    CHECK(answered != std::string::npos);
  }
  // One that never reads does not get an answer in the middle of another.
  test::hand_turned_session never(service, 4608);
  for (int i = 0; i < 20; ++i) never.sends(get("/x"));
  never.sends(asked);
  never.advance(1h);
  const auto all = never.receive_all();
  CHECK(all.find("408") == std::string::npos);
}

TEST_CASE("a chunked body may come byte by byte, an empty one too [RFC 7230 4.1]") {
  for (const std::string body :
       {"0\r\n\r\n", "0;x=y\r\n\r\n", "0\r\nA: b\r\n\r\n", "1\r\nz\r\n0\r\n\r\n"}) {
    CAPTURE(body);
    const auto service = std::make_shared<test::test_server>();  // its loop is not started
    test::hand_turned_session client(service);
    client.sends("POST /p HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (const char byte : body) {
      CHECK(client.receive().empty());
      client.sends({&byte, 1});
    }
    CHECK(client.receive().find(body[0] == '1' ? "POST /p? z" : "POST /p? ") != std::string::npos);
  }
}

TEST_CASE("what is refused is answered as what it is, not as the request before it") {
  const test::running_server server;
  raw_client client(server->address());
  client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\nnonsense\r\n\r\n");
  CHECK(client.receive_reply(true).status == 200);
  const auto refused = client.receive_reply();
  CHECK(refused.status == 400);
  CHECK_FALSE(refused.body.empty());
  CHECK(client.ends_here());

  raw_client head(server->address());
  head.send("HEAD / HTTP/1.1\r\n\r\n");  // no Host
  CHECK(head.receive_reply(true).status == 400);
  CHECK(head.ends_here());
}

TEST_CASE("Connection: close and HTTP/1.0 end after the answer; HEAD gets no body") {
  const test::running_server server;
  SUBCASE("close") {
    raw_client client(server->address());
    client.send(get("/", "Connection: close\r\n"));
    CHECK(client.receive_reply().status == 200);
    CHECK(client.ends_here());
  }
  SUBCASE("1.0") {
    raw_client client(server->address());
    client.send("GET / HTTP/1.0\r\n\r\n");
    CHECK(client.receive_reply().status == 200);
    CHECK(client.ends_here());
  }
  SUBCASE("HEAD") {
    raw_client client(server->address());
    client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n" + get("/next"));
    const auto head = client.receive_reply(true);
    CHECK(head.has("Content-Length: 8\r\n"));
    CHECK(client.receive_reply().body == "GET /next? ");
  }
}

TEST_CASE("the service may answer later, from any thread; what it never answers is a 500") {
  const test::running_server server;
  std::thread other;
  server->on_request = [&](const net::http_request& request, const net::respond& respond) {
    if (request.path == "/later")
      other = std::thread([respond] { respond({202, "text/plain", "later", {}}); });
    if (request.path == "/throw") throw std::runtime_error("oh");
    if (request.path == "/twice") {
      respond({200, "text/plain", "first", {}});
      respond({200, "text/plain", "second", {}});
    }
  };
  raw_client client(server->address());
  client.send(get("/later"));
  CHECK(client.receive_reply().body == "later");
  other.join();
  client.send(get("/never") + get("/throw") + get("/twice"));
  CHECK(client.receive_reply().status == 500);
  CHECK(client.receive_reply().status == 500);
  CHECK(client.receive_reply().body == "first");
}

TEST_CASE("a request that cannot be served gets a status and a reason, never a dropped socket") {
  limits bounds;
  bounds.max_header_size = 1024;
  bounds.max_header_count = 10;
  const test::running_server server(bounds);
  const auto status_of = [&](const std::string& bytes) {
    return refusal_of(server->address(), bytes).status;
  };
  CHECK(status_of("nonsense\r\n\r\n") == 400);
  CHECK(status_of("GET / HTTP/2.0\r\nHost: test\r\n\r\n") == 505);
  CHECK(status_of("GET / HTTP/1.1\r\n\r\n") == 400);  // no Host
  CHECK(status_of("GET nowhere HTTP/1.1\r\nHost: test\r\n\r\n") == 400);
  CHECK(status_of(get("/%zz")) == 400);
  CHECK(status_of("GET / HTTP/1.1\r\nHost : test\r\n\r\n") == 400);
  CHECK(status_of(get("/", "Content-Length: -1\r\n")) == 400);
  CHECK(status_of(get("/", "Content-Length: 1\r\nContent-Length: 2\r\n")) == 400);
  CHECK(status_of(get("/" + std::string(5000, 'x'))) == 431);
  CHECK(status_of(get("/", "X: " + std::string(5000, 'x') + "\r\n")) == 431);
  std::string many;
  for (int i = 0; i < 20; ++i) many += "X: y\r\n";
  CHECK(status_of(get("/", many)) == 431);
  CHECK(server->hits->count(protocol::limit_hit::header_limits) == 3);
  CHECK(status_of("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5000\r\n\r\n" +
                  std::string(5000, 'x')) == 413);
  CHECK(status_of("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n" +
                  std::string(5000, 'x') + "\r\n0\r\n\r\n") == 413);
  raw_client client(server->address());
  client.send(get("/"));
  CHECK(client.receive_reply().status == 200);  // and the server goes on
}

TEST_CASE("a request that does not arrive in time: 408 if it was begun, a plain close if not") {
  const auto service = std::make_shared<test::test_server>();  // its loop is not started
  const auto end_after = [&](std::string_view first, std::string_view second) {
    test::hand_turned_session client(service);
    client.sends(first);
    client.advance(9s);
    client.sends(second);  // which does not begin the time anew
    CHECK(client.receive().empty());
    CHECK_FALSE(client.ended());
    client.advance(1100ms);
    const auto said = client.receive_all();
    CHECK(client.ended());
    CHECK(client.count(protocol::limit_hit::handshake_timeout) == (said.empty() ? 0 : 1));
    return said;
  };
  CHECK(end_after("", "").empty());
  const std::string timed_out = "HTTP/1.1 408 ";
  CHECK(end_after("GET / HTTP/1.1\r\nHo", "s").starts_with(timed_out));
  CHECK(end_after("", "G").starts_with(timed_out));
  CHECK(end_after("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nabc", "d")
            .starts_with(timed_out));
}

TEST_CASE("between two requests there is as much time as for one, then a plain close") {
  test::hand_turned_session client(std::make_shared<test::test_server>());
  for (int i = 0; i < 3; ++i) {
    client.advance(9s);
    client.sends(get("/"));
    CHECK(client.receive_all().starts_with("HTTP/1.1 200 "));
  }
  client.advance(9s);
  CHECK_FALSE(client.ended());
  client.advance(1100ms);
  CHECK(client.receive_all().empty());
  CHECK(client.ended());
}

TEST_CASE("a client that goes away within a request, or before its answer, leaves nothing behind") {
  const test::running_server server;
  net::respond kept;
  server->on_request = [&](const net::http_request&, net::respond respond) {
    kept = std::move(respond);
  };
  raw_client(server->address()).send("GET / HT");
  {
    raw_client client(server->address());
    client.send(get("/"));
    CHECK(test::eventually([&] {
      bool asked = false;
      server->on_loop([&] { asked = kept != nullptr; });
      return asked;
    }));
    client.reset();
  }
  kept({200, "text/plain", "too late", {}});
  CHECK(test::eventually([&] { return server->listener->sockets() == 0; }));
}

TEST_CASE("an answer that comes after the end is dropped") {
  net::respond kept;
  {
    const test::running_server server;
    server->on_request = [&](const net::http_request&, net::respond respond) {
      kept = std::move(respond);
    };
    raw_client client(server->address());
    client.send(get("/"));
    CHECK(test::eventually([&] {
      bool asked = false;
      server->on_loop([&] { asked = kept != nullptr; });
      return asked;
    }));
  }
  kept({200, "text/plain", "too late", {}});
}

TEST_SUITE_END();
