#include <string>

#include <doctest/doctest.h>

#include "tests/net/test_server.hpp"

using namespace fairlead;
using test::frame_options;
using test::raw_client;

TEST_SUITE_BEGIN("net/violation");

namespace {

struct violation {
  const char* what;
  std::string bytes;
  unsigned code;
};

const frame_options more{.fin = false};

const violation violations[] = {
    {"an unmasked frame [5.1]", test::encode_frame(1, "x", {.masked = false}), 1002},
    {"an unmasked Close", test::encode_frame(8, test::close_payload(1000), {.masked = false}),
     1002},
    {"RSV1 without an extension [5.2]", test::encode_frame(1, "x", {.reserved = 4}), 1002},
    {"RSV2", test::encode_frame(1, "x", {.reserved = 2}), 1002},
    {"RSV3 on a ping", test::encode_frame(9, "x", {.reserved = 1}), 1002},
    {"a reserved opcode", test::encode_frame(3, "x"), 1002},
    {"a reserved control opcode", test::encode_frame(11, "x"), 1002},
    {"a control frame over 125 bytes [5.5]", test::ping_frame(std::string(126, 'x')), 1002},
    {"a Close over 125 bytes",
     test::encode_frame(8, test::close_payload(1000, std::string(124, 'x'))), 1002},
    {"a fragmented control frame [5.4]", test::encode_frame(9, "x", more), 1002},
    {"a continuation of nothing", test::encode_frame(0, "x"), 1002},
    {"a new message within a message", test::encode_frame(1, "x", more) + test::text_frame("y"),
     1002},
    {"a length that is not the shortest form [5.2]",
     test::encode_frame(1, "x", {.claimed_length = 1}), 1002},
    {"a length with its highest bit set",
     test::encode_frame(2, "", {.claimed_length = 0x8000'0000'0000'0001ULL}), 1002},
    {"that length on a continuation",
     test::encode_frame(2, "x", more) +
         test::encode_frame(0, "", {.claimed_length = 0xffff'ffff'ffff'ffffULL}),
     1002},
    {"that length on a control frame",
     test::encode_frame(9, "", {.claimed_length = 0x8000'0000'0000'0000ULL}), 1002},
    {"a message over the limit", test::encode_frame(2, "", {.claimed_length = 65537}), 1009},
    {"fragments over the limit together",
     test::encode_frame(2, std::string(40'000, 'x'), more) +
         test::encode_frame(0, std::string(40'000, 'x')),
     1009},
    {"text that is not UTF-8 [8.1]", test::text_frame("\xff"), 1007},
    {"text with a surrogate", test::text_frame("\xed\xa0\x80"), 1007},
    {"text cut within a code point", test::text_frame("\xe2\x82"), 1007},
    {"the same, with an empty last fragment",
     test::encode_frame(1, "\xe2\x82", more) + test::encode_frame(0, ""), 1007},
    {"a Close with one byte [5.5.1]", test::encode_frame(8, "\x03"), 1002},
    {"a Close whose reason is not UTF-8", test::close_frame(1000, "\xff"), 1007},
    {"a Close with code 0", test::close_frame(0), 1002},
    {"a Close with code 999 [7.4]", test::close_frame(999), 1002},
    {"a Close with 1004", test::close_frame(1004), 1002},
    {"a Close with 1005 [7.4.1]", test::close_frame(1005), 1002},
    {"a Close with 1006", test::close_frame(1006), 1002},
    {"a Close with 1015", test::close_frame(1015), 1002},
    {"a Close with 1016", test::close_frame(1016), 1002},
    {"a Close with 2999", test::close_frame(2999), 1002},
    {"a Close with 5000", test::close_frame(5000), 1002},
    {"a Close with 65535", test::close_frame(65535), 1002},
};

}  // namespace

TEST_CASE(
    "each violation is answered with its code, one Close frame, and the end; the server goes on") {
  const test::running_server server;
  for (const auto& bad : violations) {
    CAPTURE(std::string(bad.what));
    auto [client, line] = server->connect();
    client.send(test::text_frame("before") + bad.bytes + test::text_frame("after"));
    const auto close = client.receive_frame();
    REQUIRE(close);
    CHECK(close->is_close());
    CHECK(close->close_code() == bad.code);
    CHECK(client.ends_here());
    CHECK_FALSE(client.was_reset());
    line->reports.await("observer destroyed");
    CHECK(line->reports.count("text before") == 1);
    CHECK(line->reports.count("text after") == 0);
    CHECK(line->reports.count("violated " + std::to_string(bad.code)) == 1);
    CHECK(line->reports.count("closed") == 1);
    CHECK(line->reports.lines().size() == 5);
  }
  CHECK(server->hits->count(protocol::limit_hit::message_too_big) == 2);
}

TEST_CASE("the same byte by byte") {
  const test::running_server server;
  for (const auto& bad : violations) {
    if (bad.bytes.size() > 300) continue;
    CAPTURE(std::string(bad.what));
    auto [client, line] = server->connect();
    for (const char c : bad.bytes) {
      if (!client.try_send({&c, 1})) break;
    }
    const auto close = client.receive_frame();
    REQUIRE(close);
    CHECK(close->close_code() == bad.code);
    CHECK(client.ends_here());
  }
}

TEST_CASE("a violation after our Close: no second Close frame leaves") {
  const test::running_server server;
  auto [client, line] = server->connect();
  server->on_loop([l = line] {
    l->link->send_close(close_code::normal, "");
    l->flush();
  });
  CHECK(client.receive_frame()->close_code() == 1000);
  client.send(test::text_frame("\xff"));
  CHECK(client.ends_here());
  line->reports.await("violated 1007");
  line->reports.await("closed");
}

TEST_CASE("a length is believed only as far as its bytes come: no memory is taken for a promise") {
  limits bounds;
  bounds.max_message_size = std::size_t{1} << 40U;
  const test::running_server server(bounds);
  auto [client, line] = server->connect();
  client.send(test::encode_frame(2, "", {.claimed_length = std::uint64_t{1} << 39U}) +
              std::string(100'000, 'x'));
  client.finish_sending();
  line->reports.await("failed");
}

TEST_SUITE_END();
