#include <array>
#include <memory>
#include <string>

#include <doctest/doctest.h>

#include "tests/net/test_server.hpp"

using namespace fairlead;
using test::frame;
using test::frame_options;
using test::raw_client;

TEST_SUITE_BEGIN("net/link");

namespace {

void echo(test::line& l) {
  l.received = [](test::line& line, const message& m) {
    line.send(m);
    line.flush();
  };
}

}  // namespace

TEST_CASE("a message comes in whole, with its kind, and goes out as one unmasked frame") {
  const test::running_server server;
  server->prepare = echo;
  auto [client, line] = server->connect();
  for (const std::size_t size :
       {0U, 1U, 125U, 126U, 127U, 128U, 129U, 1535U, 1536U, 1537U, 4096U, 65535U, 65536U}) {
    const std::string payload(size, static_cast<char>('a' + size % 26));
    client.send(test::text_frame(payload));
    CHECK(*client.receive_frame() == frame{true, 0, 1, false, payload});
  }
  client.send(test::encode_frame(2, "\xff\xfe"));
  CHECK(*client.receive_frame() == frame{true, 0, 2, false, "\xff\xfe"});
}

TEST_CASE("many messages in one packet come in one by one and in order") {
  const test::running_server server;
  server->prepare = echo;
  auto [client, line] = server->connect();
  std::string all;
  for (int i = 0; i < 500; ++i) all += test::text_frame(std::to_string(i));
  client.send(all);
  for (int i = 0; i < 500; ++i) REQUIRE(client.receive_frame()->payload == std::to_string(i));
}

TEST_CASE("fragments make one message, with pings in between answered at once [RFC 6455 5.4]") {
  const test::running_server server;
  server->prepare = echo;
  auto [client, line] = server->connect();
  const frame_options more{.fin = false};
  client.send(test::encode_frame(1, "one ", more) + test::encode_frame(0, "", more) +
              test::ping_frame("p"));
  CHECK(*client.receive_frame() == frame{true, 0, 10, false, "p"});
  client.send(test::encode_frame(0, std::string(3000, '2'), more) +
              test::encode_frame(0, " three"));
  CHECK(client.receive_frame()->payload == "one " + std::string(3000, '2') + " three");
  SUBCASE("a code point cut in two by a fragment's end is whole again") {
    client.send(test::encode_frame(1, "\xe2\x82", more) + test::encode_frame(0, "\xac"));
    CHECK(client.receive_frame()->payload == "\xe2\x82\xac");
  }
  SUBCASE("the last fragment may be empty") {
    client.send(test::encode_frame(1, "\xe2\x82\xac", more) + test::encode_frame(0, ""));
    CHECK(client.receive_frame()->payload == "\xe2\x82\xac");
  }
}

TEST_CASE("pings are answered with their payload, pongs ignored [RFC 6455 5.5.2, 5.5.3]") {
  const test::running_server server;
  auto [client, line] = server->connect();
  client.send(test::ping_frame("") + test::encode_frame(10, "unasked") +
              test::ping_frame(std::string(125, 'p')));
  CHECK(client.receive_frame()->payload.empty());
  CHECK(*client.receive_frame() == frame{true, 0, 10, false, std::string(125, 'p')});
  CHECK(line->reports.lines() == std::vector<std::string>{"upgraded"});
}

TEST_CASE(
    "what is written between two flushes leaves in order, and its messages and bytes are counted") {
  const test::running_server server;
  auto [client, line] = server->connect();
  protocol::progress made;
  server->on_loop([&, l = line] {
    for (int i = 0; i < 200; ++i) l->send(message::text("0123456789"));
    CHECK(l->link->queued_bytes() == 200 * 12);
    made = l->link->flush();
    CHECK(l->link->queued_bytes() == 0);
  });
  CHECK(made.messages == 200);
  CHECK(made.bytes == 200 * 12);
  for (int i = 0; i < 200; ++i) CHECK(client.receive_frame()->payload == "0123456789");
}

TEST_CASE("a link that is not resumed is not read; a pause holds after the message being read") {
  const test::running_server server;
  server->prepare = [](test::line& l) {
    l.upgraded = [](test::line&) {};
    l.received = [](test::line& line, const message&) { line.link->pause_reading(); };
  };
  auto [client, line] = server->connect();
  client.send(test::text_frame("1") + test::text_frame("2") + test::ping_frame("3"));
  for (const char* next : {"text 1", "text 2"}) {
    for (int i = 0; i < 100; ++i) server->on_loop([] {});
    CHECK(line->reports.count(next) == 0);
    server->on_loop([l = line] { l->link->resume_reading(); });
    line->reports.await(next);
  }
  CHECK(client.pending().empty());  // nor the ping
  server->on_loop([l = line] { l->link->resume_reading(); });
  CHECK(client.receive_frame()->payload == "3");
}

TEST_CASE("what an observer throws ends its own link and no other") {
  const test::running_server server;
  server->prepare = [](test::line& l) {
    l.received = [](test::line&, const message&) { throw std::runtime_error("oh"); };
  };
  auto [other, other_line] = server->connect();
  auto [client, line] = server->connect();
  client.send(test::text_frame("x"));
  CHECK(line->reports.await("failed").ends_with(" oh"));
  CHECK(client.ends_here());
  other.send(test::ping_frame("still here"));
  CHECK(other.receive_frame()->payload == "still here");
}

TEST_CASE("no report comes from within a call to the link") {
  const test::running_server server;
  bool inside = false;
  bool reported_inside = false;
  server->prepare = [&](test::line& l) {
    l.upgraded = [&](test::line& line) {
      inside = true;
      line.link->resume_reading();
      inside = false;
    };
    l.received = [&](test::line& line, const message& m) {
      reported_inside |= std::exchange(inside, true);
      line.link->pause_reading();
      line.link->resume_reading();
      line.send(m);
      line.flush();
      inside = false;
    };
  };
  raw_client client(server->address());
  std::string all = raw_client::upgrade_request();
  for (int i = 0; i < 100; ++i) all += test::text_frame("m") + test::ping_frame("p");
  client.send(all);
  CHECK(client.receive_reply().status == 101);
  for (int i = 0; i < 200; ++i) REQUIRE(client.receive_frame());
  CHECK_FALSE(reported_inside);
}

TEST_SUITE_END();
