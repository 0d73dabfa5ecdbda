#include <string>

#include <doctest/doctest.h>

#include "tests/net/hand_turned_loop.hpp"

using namespace fairlead;
using namespace std::chrono_literals;
using protocol::limit_hit;
using test::encode_frame;
using test::frame_options;
using test::hand_turned_link;

TEST_SUITE_BEGIN("net/peer_watch");

namespace {

const std::string ping{"\x89\x00", 2};
const std::string pong = encode_frame(10, "");
const frame_options more{.fin = false};

std::string close_of(unsigned code, std::string_view reason) {
  const auto payload = test::close_payload(code, reason);
  return encode_frame(8, payload, {.masked = false});
}

}  // namespace

TEST_CASE(
    "a peer that vanishes without a word is pinged, and its connection fails [RFC 6455 5.5.2]") {
  hand_turned_link l;
  l.loop->advance(22s);
  CHECK(l.receive().empty());
  l.loop->advance(3100ms);
  CHECK(l.receive() == ping);
  CHECK(l.line->link->peer().awaits_pong);
  l.loop->advance(4s);
  CHECK(l.line->reports.count("failed") == 0);
  l.loop->advance(7s);
  CHECK(l.line->reports.await("failed").ends_with("no answer to ping within 8 s"));
  CHECK(l.line->link->broken());
  CHECK(l.count(limit_hit::pong_timeout) == 1);
  CHECK(l.loop->timers() == 0);
}

TEST_CASE("a peer that answers stays, and the round trip is known") {
  hand_turned_link l;
  int pings = 0;
  for (int i = 0; i < 600; ++i) {
    l.loop->advance(1s);
    if (l.receive() != ping) continue;
    ++pings;
    CHECK(l.line->link->peer().awaits_pong);
    l.loop->advance(100ms);
    l.peer_sends(pong);
    CHECK_FALSE(l.line->link->peer().awaits_pong);
  }
  CHECK(pings >= 22);
  CHECK(pings <= 27);
  CHECK(l.line->link->peer().round_trip.value() >= 100ms);
  CHECK(l.line->reports.lines() == std::vector<std::string>{"upgraded"});
}

TEST_CASE("messages, pings, pongs and parts of frames of the peer all count as signs of life") {
  const std::string long_message = encode_frame(2, std::string(10'000, 'x'));
  const std::string signs[] = {test::text_frame("x"), test::ping_frame("x"), pong,
                               encode_frame(1, "", more), long_message.substr(0, 1)};
  for (const auto& sign : signs) {
    hand_turned_link l;
    for (int i = 0; i < 10; ++i) {
      l.loop->advance(20s);
      CHECK(l.receive().find(ping) == std::string::npos);
      l.peer_sends(&sign == &signs[4] ? long_message.substr(static_cast<std::size_t>(i), 1) : sign);
      if (&sign == &signs[3] && i == 0) l.peer_sends(encode_frame(0, "", more));
      if (&sign == &signs[3]) l.peer_sends(encode_frame(0, ""));
    }
  }
}

TEST_CASE(
    "a peer that writes byte by byte, and each message for longer than it takes for a ping to be "
    "due, is not pinged, and is understood") {
  hand_turned_link l;
  const std::string bytes = test::text_frame("slow");
  for (const char c : bytes) {
    l.loop->advance(20s);
    l.peer_sends({&c, 1});
  }
  CHECK(l.line->reports.count("text slow") == 1);
  CHECK(l.receive().empty());
}

TEST_CASE("whoever is not read is not judged by its silence") {
  hand_turned_link l;
  l.line->link->pause_reading();
  l.peer_sends(test::text_frame("the read that was under way"));
  l.peer_sends(test::text_frame("left lying"));
  l.loop->advance(10min);
  CHECK(l.receive().empty());
  l.line->link->resume_reading();
  l.loop->run();
  CHECK(l.line->reports.count("text left lying") == 1);
  CHECK(l.line->reports.count("failed") == 0);
}

TEST_CASE("no ping while bytes wait for the peer: whether they arrive is for TCP to find out") {
  hand_turned_link l;
  const auto big = message::text(std::string(1'000'000, 'x'));
  for (int i = 0; i < 10; ++i) l.line->send(big);
  l.line->flush();
  REQUIRE(l.line->link->queued_bytes() > 0);
  l.loop->advance(5min);
  CHECK_FALSE(l.line->link->peer().awaits_pong);
  std::string got;
  for (int i = 0; i < 1000 && got.size() < 10 * big.frame().size(); ++i) {
    got += l.receive();
    l.loop->run();
  }
  CHECK(got.size() == 10 * big.frame().size());
  l.loop->advance(30s);
  CHECK(l.receive() == ping);
}

TEST_CASE(
    "nothing follows a Close: no ping, and no failure before the peer's time to close is up") {
  hand_turned_link l;
  l.line->link->send_close(close_code::normal, "");
  l.line->flush();
  CHECK(l.receive() == close_of(1000, ""));
  l.loop->advance(10min);
  CHECK(l.receive().empty());
  CHECK(l.line->reports.count("failed") == 0);
}

TEST_CASE("without a message either way the link asks to be closed; pongs are no messages") {
  limits bounds;
  bounds.idle_timeout = 2min;
  hand_turned_link l(bounds);
  const auto live = [&](int seconds) {
    for (int i = 0; i < seconds; ++i) {
      l.loop->advance(1s);
      if (l.receive() == ping) l.peer_sends(pong);
    }
  };
  live(100);
  l.peer_sends(test::text_frame("in"));
  live(100);
  l.line->send(message::text("out"));
  l.line->flush();
  live(100);
  CHECK(l.line->reports.count("limit") == 0);
  live(50);
  CHECK(l.line->reports.count("limit 1001 no message for 120 s") == 1);
  CHECK(l.count(limit_hit::idle) == 1);
}

TEST_CASE("who sends more than it may is not read for as long as that takes, and loses nothing") {
  limits bounds;
  bounds.max_inbound_messages_per_second = 100;
  bounds.inbound_burst = 1s;
  hand_turned_link l(bounds);
  std::string all;
  for (int i = 0; i < 1000; ++i) all += test::text_frame(std::to_string(i) + std::string(90, '.'));
  REQUIRE(l.peer_sends(all) == all.size());
  // The burst, and what one read brings on top of it.
  const auto burst = l.line->reports.count("text");
  CHECK(burst >= 100);
  CHECK(burst <= 140);
  CHECK(l.line->link->peer().throttled);
  l.loop->advance(5s);
  CHECK(l.line->reports.count("text") >= 580);
  CHECK(l.line->reports.count("text") <= 640);
  l.loop->advance(5s);
  const auto lines = l.line->reports.lines();
  REQUIRE(lines.size() == 1001);
  for (int i = 0; i < 1000; ++i)
    REQUIRE(lines[i + 1].starts_with("text " + std::to_string(i) + "."));
  CHECK_FALSE(l.line->link->peer().throttled);
  CHECK(l.count(limit_hit::inbound_rate_paused) > 0);
  CHECK(l.count(limit_hit::inbound_rate_closed) == 0);
}

TEST_CASE("the same for bytes of one long message") {
  limits bounds;
  bounds.max_inbound_bytes_per_second = 10'000;
  bounds.inbound_burst = 100ms;
  hand_turned_link l(bounds);
  l.peer_sends(encode_frame(2, std::string(50'000, 'x')));
  l.loop->advance(3s);
  CHECK(l.line->reports.count("binary") == 0);
  l.loop->advance(4s);
  CHECK(l.line->reports.count("binary 50000") == 1);
}

TEST_CASE("pings count too: a flood of them is answered at the rate, and not faster") {
  limits bounds;
  bounds.max_inbound_messages_per_second = 10;
  bounds.inbound_burst = 1s;
  hand_turned_link l(bounds);
  std::string flood;
  for (int i = 0; i < 1000; ++i) flood += test::ping_frame(std::string(100, 'x'));
  l.peer_sends(flood);
  std::size_t answered = l.receive().size();
  l.loop->advance(10s);
  answered += l.receive().size();
  CHECK(answered > 0);
  CHECK(answered / 102 <= 10 + 100 + 15);
}

TEST_CASE("who does not ease off is to be closed with 1008, and is not read faster until it is") {
  limits bounds;
  bounds.max_inbound_messages_per_second = 10;
  bounds.inbound_burst = 1s;
  bounds.inbound_patience = 5s;
  hand_turned_link l(bounds);
  std::string flood;
  for (int i = 0; i < 1000; ++i) flood += test::text_frame(std::string(100, 'x'));
  l.peer_sends(flood);
  l.loop->advance(4s);
  CHECK(l.line->reports.count("limit") == 0);
  l.loop->advance(4s);
  CHECK(l.line->reports.count("limit 1008 rate") >= 1);
  CHECK(l.count(limit_hit::inbound_rate_closed) >= 1);
  CHECK(l.line->reports.count("text") <= 10 + 80 + 15);
  l.line->link->send_close(close_code::policy_violation, "rate");
  l.line->flush();
  CHECK(l.receive() == close_of(1008, "rate"));
  const auto before = l.line->reports.count("limit");
  l.loop->advance(4s);
  CHECK(l.line->reports.count("limit") == before);
}

TEST_CASE("what one read brings may take longer than the patience: who is not read for so long is "
          "to be closed, once, and it is seen that it has gone") {
  limits bounds;
  bounds.max_inbound_messages_per_second = 1;
  bounds.inbound_burst = 1s;
  bounds.inbound_patience = 3s;
  hand_turned_link l(bounds);
  std::string flood;
  for (int i = 0; i < 200; ++i) flood += test::ping_frame("");
  l.peer_sends(flood);
  l.peer_leaves();
  REQUIRE(l.line->link->peer().throttled);
  l.loop->advance(2900ms);
  CHECK(l.line->reports.count("limit") == 0);
  l.loop->advance(200ms);
  CHECK(l.line->reports.count("limit 1008 rate") == 1);
  l.loop->advance(20s);
  CHECK(l.line->reports.count("limit") == 1);
  CHECK(l.count(limit_hit::inbound_rate_closed) == 1);
  CHECK(l.line->link->peer().throttled);
  l.line->link->send_close(close_code::policy_violation, "rate");
  l.line->flush();
  l.loop->run();
  CHECK(l.receive().ends_with(close_of(1008, "rate")));
  CHECK(l.line->reports.await("failed").ends_with("end of file without a Close frame"));
  CHECK(l.loop->timers() == 0);
}

TEST_CASE("the idle time-out holds for who is throttled") {
  limits bounds;
  bounds.max_inbound_messages_per_second = 1;
  bounds.inbound_burst = 1s;
  bounds.inbound_patience = 1h;
  bounds.idle_timeout = 3s;
  hand_turned_link l(bounds);
  std::string flood;
  for (int i = 0; i < 200; ++i) flood += test::ping_frame("");
  l.peer_sends(flood);
  l.loop->advance(2900ms);
  CHECK(l.line->reports.count("limit") == 0);
  l.loop->advance(200ms);
  CHECK(l.line->reports.count("limit 1001 no message for 3 s") == 1);
}

TEST_CASE("a throttled peer answers a Close in time: what it had sent before is read at once "
          "[RFC 6455 7.1.1]") {
  limits bounds;
  bounds.max_inbound_messages_per_second = 10;
  bounds.inbound_burst = 1s;
  hand_turned_link l(bounds);
  std::string flood;
  for (int i = 0; i < 1000; ++i) flood += test::text_frame(std::string(100, 'x'));
  l.peer_sends(flood);
  REQUIRE(l.line->link->peer().throttled);
  const auto paused = l.count(limit_hit::inbound_rate_paused);
  l.line->link->send_close(close_code::normal, "bye");
  l.line->flush();
  CHECK(l.receive() == close_of(1000, "bye"));
  CHECK_FALSE(l.line->link->peer().throttled);
  l.peer_sends(encode_frame(8, test::close_payload(1000, "bye")));
  CHECK(l.line->reports.count("text") == 1000);
  CHECK(l.line->reports.count("closed") == 1);
  CHECK(l.count(limit_hit::inbound_rate_paused) == paused);
}

TEST_CASE("a link that ends while it is throttled leaves nothing behind") {
  limits bounds;
  bounds.max_inbound_messages_per_second = 1;
  bounds.inbound_burst = 1s;
  hand_turned_link l(bounds);
  std::string flood;
  for (int i = 0; i < 100; ++i) flood += test::text_frame("x");
  l.peer_sends(flood);
  REQUIRE(l.line->link->peer().throttled);
  l.line->link->abort();
  l.loop->run();
  CHECK(l.loop->timers() == 0);
  CHECK(l.line->reports.count("observer destroyed") == 1);
}

TEST_CASE("a message in more fragments than may be is refused with 1008, empty ones included") {
  limits bounds;
  bounds.max_fragments = 5;
  const auto message = [](int fragments, std::string_view each) {
    std::string all = encode_frame(1, each, more);
    for (int i = 2; i < fragments; ++i) all += encode_frame(0, each, more);
    return all + encode_frame(0, each);
  };
  for (const std::string_view each : {"x", ""}) {
    hand_turned_link l(bounds);
    l.peer_sends(message(5, each) + message(2, each) + message(5, each));
    CHECK(l.line->reports.count("text") == 3);
    l.peer_sends(message(6, each));
    CHECK(l.line->reports.count("text") == 3);
    CHECK(l.line->reports.count("violated 1008 a message in more than 5 fragments") == 1);
    CHECK(l.receive() == close_of(1008, "a message in more than 5 fragments"));
    CHECK(l.count(limit_hit::too_many_fragments) == 1);
  }
}

TEST_SUITE_END();
