#include <chrono>
#include <cstdint>
#include <random>
#include <string>

#include <doctest/doctest.h>

#include "tests/protocol/simulated_connection.hpp"

// Random lives of a connection. What must hold at every step and at the end is checked by simulated_connection: no
// write after send_close, one report_closed, closed and failed never left, the outbox within its limits, one outcome
// for each send (also where it expires, is dropped or replaced), order, one answer for each close, nothing in the byte
// stream after a Close frame.

namespace fairlead::protocol::test {
namespace {

class dice {
 public:
  explicit dice(std::uint32_t seed) : random_(seed) {}
  std::size_t up_to(std::size_t n) { return random_() % n; }
  bool one_in(std::size_t n) { return up_to(n) == 0; }

 private:
  std::mt19937 random_;
};

limits small_limits() {
  limits bounds;
  bounds.max_send_size = 250;
  bounds.max_queued_messages = 6;
  bounds.max_queued_bytes = 700;
  bounds.close_timeout = std::chrono::milliseconds{50};
  return bounds;
}

// One throw a statement: the order of throws must not depend on the compiler, or a seed means nothing.

std::string some_text(dice& d) {
  const bool long_one = d.one_in(4);
  const std::size_t size = d.up_to(long_one ? 300 : 20);
  const auto letter = static_cast<char>('a' + d.up_to(26));
  return std::string(size, letter);
}

/// Mostly the ordinary.
send_options some_options(dice& d) {
  send_options how;
  switch (d.up_to(8)) {
  case 0: how.ttl = std::chrono::milliseconds(d.up_to(60)); break;
  case 1: how.policy = static_cast<slow_policy>(d.up_to(4)); break;
  case 2: how.key = std::string(1, static_cast<char>('k' + d.up_to(3))); break;
  default: break;
  }
  if (!how.key.empty() && d.one_in(3)) how.ttl = std::chrono::milliseconds(d.up_to(60));
  return how;
}

void send_something(simulated_connection& c, dice& d) {
  const auto how = some_options(d);
  if (d.one_in(4)) {
    const auto first = some_text(d);
    const auto second = some_text(d);
    c.send({first, second, some_text(d)}, how);
  } else {
    c.send({some_text(d)}, how);
  }
}

void flush_something(simulated_connection& c, dice& d) {
  const std::size_t room = d.up_to(400);
  c.flush(room, 1 + d.up_to(8));
}

void ask_something(simulated_connection& c, dice& d) {
  switch (d.up_to(4)) {
  case 0: return c.ask_close(close_code::no_status, "");
  case 1: return c.ask_close(close_code::normal, std::string(124, 'x'));
  default:
    return c.ask_close(close_code{static_cast<std::uint16_t>(3000 + d.up_to(2000))}, "random");
  }
}

/// `ends` in a thousand happenings are of those that end a connection, so that some lives are long and some short.
void happen_something(simulated_connection& c, dice& d, std::size_t ends) {
  if (d.up_to(1000) < ends) {
    switch (d.up_to(5)) {
    case 0: return ask_something(c, d);
    case 1: return c.transport_reads_close();
    case 2: return c.violate();
    case 3: return c.fail();
    default: return c.pass(std::chrono::milliseconds(d.up_to(80)));
    }
  }
  switch (d.up_to(13)) {
  case 12: return c.pass(std::chrono::milliseconds(d.up_to(10)));
  case 0: return c.complete_handshake();
  case 1: return c.admit();
  case 2: return c.receive();
  case 3: return c.pong();
  case 4: return c.transport_tells();
  case 5: return c.end_handshake();
  case 6:
  case 7: return flush_something(c, d);
  default: return send_something(c, d);
  }
}

}  // namespace

TEST_SUITE_BEGIN("protocol/properties");

TEST_CASE("what holds in every life of a connection") {
  limits bounds = small_limits();
  int ended = 0;
  constexpr std::uint32_t lives = 6'000;
  for (std::uint32_t seed = 1; seed <= lives; ++seed) {
    CAPTURE(seed);
    dice d(seed);
    bounds.slow_consumers = static_cast<slow_policy>(d.up_to(4));
    simulated_connection c(bounds);
    if (!d.one_in(4)) {
      c.complete_handshake();
      c.admit();
    }
    const std::size_t ends = d.up_to(300);
    for (std::size_t steps = d.up_to(80); steps > 0; --steps) happen_something(c, d, ends);
    c.check_whole_life();
    if (c.over()) ++ended;
  }
  // Both kinds of lives are there, else the checks above would have seen little.
  CHECK(ended > static_cast<int>(lives) / 10);
  CHECK(ended < static_cast<int>(lives) * 9 / 10);
}

TEST_CASE("the raced close of the design: data is queued, the transport answers the peer's Close, "
          "more is sent") {
  const limits bounds;
  simulated_connection c(bounds);
  c.complete_handshake();
  c.admit();
  c.send({"before"});
  c.transport_reads_close();
  c.send({"the machine does not know yet"});
  c.transport_tells();
  c.send({"the machine knows"});
  c.flush(100'000, 8);
  c.end_handshake();
  CHECK(c.over());
  c.check_whole_life();
}

TEST_SUITE_END();

}  // namespace fairlead::protocol::test
