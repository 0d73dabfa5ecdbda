#include <array>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/wire/live_server.hpp"
#include "tests/wire/process.hpp"

/// Bad clients of the whole server. Around each of them a good one goes on, and the server's own record says why the
/// bad one ended. The finer points of each rule are in tests/net.
namespace fairlead::test {
namespace {

using namespace std::chrono_literals;

struct bad_request {
  const char* what;
  std::string bytes;
  unsigned status;
};

std::string upgrade_with(std::string_view fields, std::string_view first = "GET /ws HTTP/1.1") {
  return std::string{first} + "\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
         std::string{fields} + "\r\n";
}

constexpr std::string_view key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
constexpr std::string_view thirteen = "Sec-WebSocket-Version: 13\r\n";

std::vector<bad_request> bad_requests() {
  const auto both = std::string{key}.append(thirteen);
  std::string many;
  for (int i = 0; i < 20; ++i) many += "X: y\r\n";
  return {
      {"a field over the limit", upgrade_with(both + "X: " + std::string(2000, 'x') + "\r\n"), 431},
      {"a target over the limit",
       upgrade_with(both, "GET /" + std::string(2000, 'x') + " HTTP/1.1"), 431},
      {"too many fields", upgrade_with(both + many), 431},
      {"no WebSocket version", upgrade_with(key), 426},
      {"WebSocket version 8", upgrade_with(std::string{key} + "Sec-WebSocket-Version: 8\r\n"), 426},
      {"no key", upgrade_with(thirteen), 400},
      {"a short key", upgrade_with(std::string{thirteen} + "Sec-WebSocket-Key: c2hvcnQ=\r\n"), 400},
      {"HTTP/1.0", upgrade_with(both, "GET /ws HTTP/1.0"), 400},
      {"HTTP/2", upgrade_with(both, "GET /ws HTTP/2.0"), 505},
      {"an HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"no upgrade", "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", 426},
      {"another method", upgrade_with(both, "POST /ws HTTP/1.1"), 405},
      {"another path", upgrade_with(both, "GET /elsewhere HTTP/1.1"), 404},
      {"no HTTP", "EHLO example.org\r\n\r\n", 400},
      {"a frame without an upgrade", text_frame("hello") + "\r\n\r\n", 400},
  };
}

struct bad_frames {
  const char* what;
  std::string bytes;
  unsigned code;
};

std::vector<bad_frames> bad_frames_of_each_kind() {
  constexpr std::uint64_t highest_bit = 0x8000'0000'0000'0000ULL;
  return {
      {"an unmasked frame [5.1]", encode_frame(1, "x", {.masked = false}), 1002},
      {"a reserved bit [5.2]", encode_frame(1, "x", {.reserved = 4}), 1002},
      {"a reserved opcode [5.2]", encode_frame(5, "x"), 1002},
      {"a length with its highest bit set", encode_frame(2, "", {.claimed_length = highest_bit}),
       1002},
      {"the same behind a fragment",
       encode_frame(2, "x", {.fin = false}) +
           encode_frame(0, "", {.claimed_length = highest_bit | 1}),
       1002},
      {"a message over the limit", encode_frame(2, std::string(70'000, 'x')), 1009},
      {"text that is not UTF-8 [8.1]", text_frame("\xc3\x28"), 1007},
      {"a Close with code 1005 [7.4.1]", close_frame(1005), 1002},
      {"a Close with code 2000 [7.4.2]", close_frame(2000), 1002},
      {"a Close with half a code", encode_frame(8, "\x03"), 1002},
      {"a ping over 125 bytes [5.5]", ping_frame(std::string(126, 'x')), 1002},
      {"a fragmented ping [5.5]", encode_frame(9, "x", {.fin = false}), 1002},
      {"a continuation of nothing [5.4]", encode_frame(0, "x"), 1002},
      {"an HTTP request on the WebSocket", "GET / HTTP/1.1\r\n\r\n", 1002},
  };
}

server_options strict() {
  server_options options{.internal = "127.0.0.1:0", .threads = 2};
  options.limits.max_header_size = 1024;
  options.limits.max_header_count = 12;
  return options;
}

std::string debug_closed(server& s) {
  raw_client client{s.internal_address()};
  client.send("GET /debug/closed HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  return client.receive_reply().body;
}

std::string random_bytes(dice& d, std::size_t most) {
  std::string bytes(1 + d.up_to(most), '\0');
  for (auto& c : bytes) c = static_cast<char>(d.up_to(256));
  return bytes;
}

}  // namespace

TEST_SUITE("wire/bad_input") {
  TEST_CASE("a request that cannot become a WebSocket gets its status and a reason, and good "
            "clients notice nothing") {
    live_server server{strict()};
    auto before = server.join("before");
    for (const auto& bad : bad_requests()) {
      CAPTURE(std::string{bad.what});
      raw_client client{server->address()};
      (void)client.try_send(bad.bytes);
      const auto reply = client.receive_reply();
      CHECK(reply.status == bad.status);
      CHECK_FALSE(reply.body.empty());
      CHECK(client.ends_here());
      CHECK_FALSE(client.was_reset());
      CHECK(echoes(before.client));
      CHECK(echoes(server.join("after").client));
    }
    CHECK(eventually([&] { return server->connection_count() == 1; }));
  }

  TEST_CASE("a request whose rest does not come gets 408 and a reason") {
    auto options = strict();
    options.limits.handshake_timeout = 2s;  // the clients must have begun by then
    live_server server{options};
    std::vector<raw_client> clients;
    for (const auto* begun : {"GE", "GET /ws HTTP/1.1\r\nHost: te"})
      clients.emplace_back(server->address()).send(begun);
    for (auto& client : clients) {
      const auto reply = client.receive_reply();
      CHECK(reply.status == 408);
      CHECK_FALSE(reply.body.empty());
      CHECK(client.ends_here());
      CHECK_FALSE(client.was_reset());
    }
    CHECK(echoes(server.join().client));
  }

  TEST_CASE("frames that break the protocol are answered with their code and the end, and the "
            "record says why") {
    live_server server{strict()};
    auto before = server.join("before");
    for (const auto& bad : bad_frames_of_each_kind()) {
      CAPTURE(std::string{bad.what});
      auto its = server.join("bad");
      CHECK(echoes(its.client));
      (void)its.client.try_send(bad.bytes + text_frame("after it"));
      const auto close = its.client.receive_frame();
      REQUIRE(close);
      CHECK(close->close_code() == bad.code);
      CHECK(its.client.ends_here());  // no echo of what came after it
      CHECK_FALSE(its.client.was_reset());

      const auto end = server.end_of(its.handle);
      CHECK(end.code == close_code{static_cast<std::uint16_t>(bad.code)});
      CHECK(end.by == initiator::violation);
      CHECK_FALSE(end.clean);
      CHECK_FALSE(end.reason.empty());
      const auto record = server.record_of(its.handle);
      REQUIRE(record);
      CHECK(record->info == end);
      CHECK(record->counts.messages_in == 1);
      CHECK(its.handle.send_reported(message::text("x")).get() == send_result::closed);
      CHECK(echoes(before.client));
    }
    CHECK(echoes(server.join("after").client));
    const auto told = debug_closed(*server);
    CHECK(told.find("a protocol violation of the peer's ended it") != std::string::npos);
    CHECK(told.find("\"initiator\":\"violation\"") != std::string::npos);
  }

  TEST_CASE("a frame that is cut off by the end of the stream, or by a reset, is a failure of the "
            "transport") {
    live_server server{strict()};
    auto before = server.join("before");
    const std::array cut{std::string{"\x81"},
                         text_frame("hello").substr(0, 4),
                         text_frame("hello").substr(0, 9),
                         encode_frame(1, std::string(5000, 'x')).substr(0, 3000),
                         encode_frame(1, "x", {.fin = false}),
                         close_frame(1000).substr(0, 5)};
    for (const auto& bytes : cut) {
      for (const bool by_reset : {false, true}) {
        CAPTURE(bytes.size());
        auto its = server.join("bad");
        its.client.send(bytes);
        by_reset ? its.client.reset() : its.client.finish_sending();
        const auto end = server.end_of(its.handle);
        CHECK(end.code == close_code::abnormal);
        CHECK(end.by == initiator::transport);
        CHECK_FALSE(end.reason.empty());
        CHECK(server.record_of(its.handle)->final_state == connection_state::failed);
        CHECK(its.handle.send_reported(message::text("x")).get() == send_result::failed);
      }
    }
    CHECK(echoes(before.client));
    CHECK(eventually([&] { return server->connection_count() == 1; }));
  }

  TEST_CASE("garbage, as a request and as frames: an error or the end, and the server goes on") {
    const auto seed = some_seed();
    CAPTURE(seed);
    dice d{seed};
    live_server server{strict()};
    auto before = server.join("before");
    for (std::size_t round = 0; round < rounds(100); ++round) {
      raw_client stranger{server->address()};
      (void)stranger.try_send(random_bytes(d, 3000) + "\r\n\r\n");
      stranger.finish_sending();
      const auto reply = stranger.receive_all();
      CHECK((reply.empty() || reply.starts_with("HTTP/1.1 4") || reply.starts_with("HTTP/1.1 5")));

      auto its = server.join("bad");
      (void)its.client.try_send(random_bytes(d, 300));
      its.client.finish_sending();
      bool closed = false;
      while (const auto next = its.client.receive_frame()) {
        CHECK_FALSE(closed);
        closed = next->is_close();
        if (closed) CHECK(may_be_sent(close_code{static_cast<std::uint16_t>(next->close_code())}));
      }
      const auto end = server.end_of(its.handle);
      CHECK(closed == (end.code != close_code::abnormal));
      CHECK(echoes(before.client));
    }
    CHECK(eventually([&] { return server->connection_count() == 1; }));
  }
}

}  // namespace fairlead::test
