#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "tests/wire/live_server.hpp"
#include "tests/wire/peers.hpp"
#include "tests/wire/process.hpp"

/// What a client may cost, on real sockets: peers that vanish, dawdle, flood, or leave in the middle of things.
namespace fairlead::test {
namespace {

using namespace std::chrono_literals;

server_options pinging(std::chrono::milliseconds pong_timeout) {
  server_options options{.threads = 2};
  options.limits.ping_interval = 100ms;
  options.limits.pong_timeout = pong_timeout;
  return options;
}

}  // namespace

TEST_SUITE("wire/limits") {
  TEST_CASE("a half-open peer is found and dropped") {
    live_server server{pinging(200ms)};
    auto gone = server.join();
    const auto end = server.end_of(gone.handle);
    CHECK(end.code == close_code::abnormal);
    CHECK(end.by == initiator::transport);
    CHECK(end.reason == "no answer to ping within 200 ms");
  }

  TEST_CASE("a peer that answers its ping stays, and is pinged again") {
    live_server server{pinging(2s)};
    auto there = server.join();
    for (int i = 0; i < 2; ++i) {
      const auto ping = there.client.receive_frame();
      REQUIRE(ping);  // the second one, and not the end: the first counts as answered
      CHECK(ping->opcode == 9);
      there.client.send(encode_frame(10, ping->payload));
    }
    CHECK(server.times_ended(there.handle) == 0);
    CHECK(server.snapshot_of(there.handle).round_trip.has_value());
  }

  TEST_CASE("a reset in the middle of a message: the connection fails, its message is nobody's") {
    mailbox<std::string> received;
    server_options options{.threads = 2};
    options.on_message = [&](const connection&, const message& m) {
      received.put(std::string{m.view()});
    };
    live_server server{std::move(options)};
    for (const auto& part :
         {text_frame(std::string(60'000, 'x')).substr(0, 30'000),
          encode_frame(1, "first", {.fin = false}),
          encode_frame(1, "first", {.fin = false}) + text_frame("y").substr(0, 1)}) {
      auto leaver = server.join();
      leaver.client.send(text_frame("whole") + part);
      CHECK(received.take() == "whole");
      leaver.client.reset();
      const auto end = server.end_of(leaver.handle);
      CHECK(end.code == close_code::abnormal);
      CHECK(end.by == initiator::transport);
    }
    auto next = server.join();
    next.client.send(text_frame("still served"));
    CHECK(received.take() == "still served");
  }

  TEST_CASE(
      "2,000 clients that leave at once, each in its own way, while broadcasts run: each ends "
      "once, and nobody else loses anything") {
    constexpr std::size_t crowd_size = rounds(2000);
    allow_descriptors(2 * crowd_size + 200);
    live_server server{{.threads = 2}};
    auto stays = server.join();
    std::vector<peer> peers;
    std::vector<connection> handles;
    for (std::size_t i = 0; i < crowd_size; ++i) {
      auto joined = server.join();
      handles.push_back(joined.handle);
      peers.emplace_back(std::move(joined.client), peer_plan{static_cast<ending>(1 + i % 3), 3});
    }
    std::atomic<bool> over{false};
    bool in_order = true;
    std::jthread broadcaster{[&] {
      for (std::size_t n = 0; in_order && !over; ++n) {
        server->broadcast(message::text(std::to_string(n)));
        const auto next = stays.client.receive_frame();
        in_order = next && next->payload == std::to_string(n);
      }
    }};
    CHECK(read_to_the_end(peers));
    for (const auto& handle : handles) server.end_of(handle);
    over = true;
    broadcaster.join();
    for (const auto& handle : handles) REQUIRE(server.times_ended(handle) == 1);
    CHECK(eventually([&] { return server->connection_count() == 1; }));
    CHECK(in_order);
    for (const auto& p : peers) CHECK(p.after_close() == 0);
  }

  TEST_CASE("who floods is slowed down, and closed with 1008 if it goes on") {
    server_options options{.threads = 1};
    options.limits.max_inbound_messages_per_second = 50;
    options.limits.inbound_burst = 200ms;
    options.limits.inbound_patience = 500ms;
    std::atomic<std::size_t> received{0};
    options.on_message = [&](const connection&, const message&) { ++received; };
    live_server server{std::move(options)};
    auto flooder = server.join();
    auto modest = server.join();
    const auto began = std::chrono::steady_clock::now();
    std::jthread flood{[&] {
      const std::string frame = text_frame(std::string(1000, 'x'));
      while (flooder.client.try_send(frame)) continue;
    }};
    const auto end = server.end_of(flooder.handle);
    CHECK(end.code == close_code::policy_violation);
    CHECK(end.reason == "rate");
    CHECK(end.by == initiator::limit);
    // As many as its rate allows in the time that it took, and a burst; the rest is for what one read brings.
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    CHECK(static_cast<double>(received) < 50 * (took.count() + 0.2) + 400);
    modest.client.send(text_frame("x"));
    CHECK(eventually([&] { return server.snapshot_of(modest.handle).counts.messages_in == 1; }));
  }

  TEST_CASE("a connection on which nobody says anything is closed with 1001, and cleanly") {
    server_options options{.threads = 1};
    options.limits.idle_timeout = 300ms;
    live_server server{std::move(options)};
    auto quiet = server.join();
    const auto close = quiet.client.receive_frame();
    REQUIRE(close);
    CHECK(close->close_code() == 1001);
    CHECK(close->close_reason() == "no message for 300 ms");
    quiet.client.send(close_frame(1001));
    const auto end = server.end_of(quiet.handle);
    CHECK(end.by == initiator::limit);
    CHECK(end.clean);
  }

  TEST_CASE(
      "a user has so many connections and no more, on all loops together; others have their own") {
    server_options options{.threads = 2};
    options.limits.max_connections_per_user = 3;
    live_server server{std::move(options)};
    std::vector<live_server::line> lines;
    for (int i = 0; i < 3; ++i) lines.push_back(server.join("ann"));
    for (int i = 0; i < 5; ++i) {
      raw_client refused{server->address()};
      refused.send(raw_client::upgrade_request("/ws?ann"));
      const auto reply = refused.receive_reply();
      CHECK(reply.status == 503);
      CHECK(reply.has("Retry-After: "));
      CHECK(reply.body.find("this user has too many connections") != std::string::npos);
    }
    for (int i = 0; i < 5; ++i) lines.push_back(server.join("bob" + std::to_string(i)));
    for (int i = 0; i < 5; ++i) lines.push_back(server.join());  // the anonymous are not one user
    lines.front().client.reset();
    server.end_of(lines.front().handle);
    CHECK(eventually([&] {
      raw_client again{server->address()};
      again.send(raw_client::upgrade_request("/ws?ann"));
      return again.receive_reply().status == 101;
    }));
  }

  TEST_CASE(
      "a page whose Origin is not allowed gets 403 and why; no Origin is allowed [RFC 6455 10.2]") {
    const auto answer = [](live_server& server, std::string_view field) {
      raw_client client{server->address()};
      client.send(raw_client::upgrade_request("/ws", field));
      return client.receive_reply();
    };
    live_server strict{{.origins = {"https://app.example"}, .threads = 1}};
    CHECK(answer(strict, "").status == 101);
    CHECK(answer(strict, "Origin: https://app.example\r\n").status == 101);
    const auto refused = answer(strict, "Origin: https://evil.example\r\n");
    CHECK(refused.status == 403);
    CHECK(refused.body.find("evil.example") != std::string::npos);
    live_server fresh{{.threads = 1}};
    CHECK(answer(fresh, "Origin: https://app.example\r\n").status == 403);
    live_server open{{.origins = {"*"}, .threads = 1}};
    CHECK(answer(open, "Origin: https://app.example\r\n").status == 101);
  }
}

}  // namespace fairlead::test
