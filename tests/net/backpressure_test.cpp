#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "tests/net/test_server.hpp"

using namespace fairlead;
using test::raw_client;

TEST_SUITE_BEGIN("net/backpressure");

namespace {

struct counting_receipt final : protocol::receipt_sink {
  void settle(send_result r) noexcept override { outcomes.add(r); }
  broadcast_summary outcomes;
};

constexpr std::size_t count = 2000;
constexpr int small_buffer = 4096;

std::string numbered(std::size_t i) {
  return std::to_string(i) + " " + std::string(10'000 + i, static_cast<char>('a' + i % 26));
}

/// Queues more than the kernel takes.
void fill(const test::running_server& server, const std::shared_ptr<test::line>& line,
          const protocol::receipt& asked) {
  server->on_loop([&] {
    for (std::size_t i = 0; i < count; ++i) line->send(message::text(numbered(i)), asked);
    line->flush();
    REQUIRE(line->link->queued_bytes() > 0);
  });
}

}  // namespace

TEST_CASE("a reader that stalls and goes on gets every byte, and every receipt and every message "
          "is accounted for") {
  const test::running_server server;
  auto [client, line] = server->connect(small_buffer);
  const auto asked = std::make_shared<counting_receipt>();
  fill(server, line, asked);
  server->on_loop([&, l = line] {
    CHECK(asked->outcomes.addressed() < count);
    CHECK(l->link->undelivered_bytes() > l->link->queued_bytes());
  });
  for (std::size_t i = 0; i < count; ++i) REQUIRE(client.receive_frame()->payload == numbered(i));
  CHECK(test::eventually([&, l = line] {
    bool done = false;
    server->on_loop([&] { done = l->link->undelivered_bytes() == 0; });
    return done;
  }));
  server->on_loop([&, l = line] {
    CHECK(l->link->queued_bytes() == 0);
    CHECK(asked->outcomes.count(send_result::written) == count);
    CHECK(l->written.messages == count);
  });
  CHECK(line->reports.count("progress") > 0);
}

TEST_CASE("while the kernel is full, a Close waits behind what is queued and seals at once") {
  const test::running_server server;
  auto [client, line] = server->connect(small_buffer);
  fill(server, line, nullptr);
  SUBCASE("our Close") {
    server->on_loop([l = line] {
      l->link->send_close(close_code::normal, "");
      CHECK_FALSE(l->link->write(protocol::as_chunk(message::text("late"))));
      l->flush();
    });
  }
  SUBCASE("the peer's: reported at once, on_closed only when the kernel has ours") {
    client.send(test::close_frame(1000));
    line->reports.await("peer closed");
    server->on_loop(
        [l = line] { CHECK_FALSE(l->link->write(protocol::as_chunk(message::text("late")))); });
    CHECK(line->reports.count("closed") == 0);
  }
  SUBCASE("a violation's") {
    client.send(test::text_frame("\xff"));
    line->reports.await("violated");
    CHECK(line->reports.count("closed") == 0);
  }
  for (std::size_t i = 0; i < count; ++i) REQUIRE(client.receive_frame()->payload == numbered(i));
  CHECK(client.receive_frame()->is_close());
  (void)client.try_send(test::close_frame(1000));
  line->reports.await("closed");
  CHECK(client.ends_here());
}

TEST_CASE("a reset while the kernel is full settles what is left as failed") {
  const test::running_server server;
  bool read = true;
  SUBCASE("noticed by reading") {}
  SUBCASE("noticed by writing") { read = false; }
  server->prepare = [&](test::line& l) {
    if (!read) l.upgraded = [](test::line&) {};
  };
  auto [client, line] = server->connect(small_buffer);
  const auto asked = std::make_shared<counting_receipt>();
  fill(server, line, asked);
  client.reset();
  line->reports.await("failed");
  line->reports.await("observer destroyed");
  CHECK(asked->outcomes.addressed() == count);
  CHECK(asked->outcomes.count(send_result::failed) > 0);
  CHECK(line->reports.count("failed") == 1);
}

TEST_CASE("the close deadline: abort ends a link whose kernel is full") {
  const test::running_server server;
  auto [client, line] = server->connect(small_buffer);
  const auto asked = std::make_shared<counting_receipt>();
  fill(server, line, asked);
  server->on_loop([&, l = line] {
    l->link->send_close(close_code::normal, "");
    l->flush();
    l->link->abort();
    CHECK(asked->outcomes.addressed() == count);
    CHECK(server->listener->sockets() == 0);
  });
  line->reports.await("observer destroyed");
  CHECK(line->reports.count("closed") == 0);
  CHECK(line->reports.count("failed") == 0);
}

TEST_CASE("a peer that pings and never reads is not read either: pongs do not pile up") {
  const test::running_server server;
  auto [client, line] = server->connect(small_buffer);
  fill(server, line, nullptr);
  std::string pings;
  for (int i = 0; i < 100; ++i) pings += test::ping_frame(std::string(100, 'p'));
  std::thread flood([&, c = &client] {
    for (int i = 0; i < 1000; ++i)
      c->send(pings);  // ten megabytes; blocks until the reader below makes room
  });
  std::size_t most = 0;
  for (int i = 0; i < 200; ++i) {
    server->on_loop([&, l = line] { most = std::max(most, l->link->queued_bytes()); });
  }
  std::size_t all = 0;
  for (std::size_t i = 0; i < count; ++i) all += numbered(i).size() + 4;
  CHECK(most <= all + 20'000);
  std::size_t messages = 0;
  std::size_t pongs = 0;
  while (messages < count || pongs < 100'000) {
    const auto next = client.receive_frame();
    REQUIRE(next);
    (next->opcode == 10 ? pongs : messages) += 1;
  }
  flood.join();
}

TEST_SUITE_END();
