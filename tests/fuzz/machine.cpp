// Lives of a connection, as protocol/property_test plays them, in the order that the input decides. What must hold after
// every step and at the end is checked by simulated_connection.
#include <chrono>
#include <cstdint>
#include <string>

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include "tests/fuzz/input.hpp"

// Its checks are doctest's. Here no test case runs, and a check that fails has to end the run as a find.
#undef REQUIRE
#undef REQUIRE_FALSE
#define REQUIRE(...) fairlead::fuzz::promise(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__)
#define REQUIRE_FALSE(...) REQUIRE(!(__VA_ARGS__))
#include "tests/protocol/simulated_connection.hpp"

namespace fairlead::fuzz {
namespace {

using protocol::test::simulated_connection;

limits bounds_of(input& in) {
  limits bounds;
  bounds.max_send_size = 1 + in.up_to(256);
  bounds.max_queued_messages = 1 + static_cast<std::uint32_t>(in.up_to(8));
  bounds.max_queued_bytes = 1 + in.up_to(1024);
  bounds.close_timeout = std::chrono::milliseconds{1 + in.up_to(100)};
  bounds.slow_consumers = static_cast<slow_policy>(in.up_to(4));
  return bounds;
}

send_options options_of(input& in) {
  send_options how;
  const auto which = in.byte();
  if ((which & 1U) != 0) how.ttl = std::chrono::milliseconds{in.up_to(60)};
  if ((which & 2U) != 0) how.policy = static_cast<slow_policy>(in.up_to(4));
  if ((which & 4U) != 0) how.key = std::string(1, static_cast<char>('k' + in.up_to(3)));
  return how;
}

std::string text_of(input& in) {
  const auto size = in.up_to(300);
  return std::string(size, static_cast<char>('a' + size % 26));
}

void send(simulated_connection& c, input& in) {
  const auto how = options_of(in);
  const auto first = text_of(in);
  if (in.up_to(4) > 0) return c.send({first}, how);
  const auto second = text_of(in);
  c.send({first, second, text_of(in)}, how);
}

void ask_close(simulated_connection& c, input& in) {
  const auto code = static_cast<close_code>(in.up_to(5001));
  c.ask_close(code, std::string(in.text(in.up_to(130))));
}

void flush(simulated_connection& c, input& in) {
  const auto room = in.up_to(1024);
  c.flush(room, 1 + in.up_to(8));
}

void happen(simulated_connection& c, input& in) {
  switch (in.up_to(13)) {
  case 0: return c.complete_handshake();
  case 1: return c.admit();
  case 2: return send(c, in);
  case 3: return flush(c, in);
  case 4: return ask_close(c, in);
  case 5: return c.pass(std::chrono::milliseconds(in.up_to(120)));
  case 6: return c.receive();
  case 7: return c.pong();
  case 8: return c.transport_reads_close();
  case 9: return c.transport_tells();
  case 10: return c.end_handshake();
  case 11: return c.violate();
  default: return c.fail();
  }
}

}  // namespace
}  // namespace fairlead::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fairlead::fuzz::input in(data, size);
  const auto bounds = fairlead::fuzz::bounds_of(in);
  fairlead::fuzz::simulated_connection life(bounds);
  // Each look at all sends so far takes as long as there are sends: a life has an end.
  for (int steps = 0; steps < 400 && !in.empty(); ++steps) fairlead::fuzz::happen(life, in);
  life.check_whole_life();
  return 0;
}
