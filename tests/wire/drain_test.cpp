#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "tests/wire/live_server.hpp"
#include "tests/wire/peers.hpp"
#include "tests/wire/process.hpp"

/// Going down while others still send.
namespace fairlead::test {
namespace {

using namespace std::chrono_literals;

/// Threads that send until they are told to end, and what became of every message.
class load {
 public:
  load(server& s, const std::vector<connection>& to) : server_(s), to_(to) {
    for (std::size_t i = 0; i < 2; ++i) threads_.emplace_back([this, i] { run(i); });
  }
  void end() {
    over_ = true;
    threads_.clear();
  }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  [[nodiscard]] std::uint64_t written() const { return written_; }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  void note(send_result r, std::uint64_t n = 1) {
    (r == send_result::written ? written_ : refused_) += n;
  }
  void run(std::size_t first) {
    for (std::size_t i = first; !over_; ++i) {
      send(to_[i % to_.size()]);
      if (i % 20 == 0) broadcast();  // load, not a storm
    }
  }
  void send(const connection& to) {
    std::atomic<bool> known{false};
    ++sent_;
    to.send(message::text("single"), [&](send_result r) {
      note(r);
      known = true;
      known.notify_one();
    });
    known.wait(false);
  }
  void broadcast() {
    std::promise<broadcast_summary> done;
    auto future = done.get_future();
    server_.broadcast(message::text("to all"), {},
                      [&](const broadcast_summary& s) { done.set_value(s); });
    const auto summary = future.get();
    sent_ += summary.addressed();
    written_ += summary.count(send_result::written);
    refused_ += summary.refused();
  }

  server& server_;
  const std::vector<connection>& to_;
  std::atomic<bool> over_{false};
  std::atomic<std::uint64_t> sent_{0}, written_{0}, refused_{0};
  std::vector<std::jthread> threads_;
};

}  // namespace

TEST_SUITE("wire/drain") {
  TEST_CASE(
      "a drain under load: every message has one outcome, what was written is what arrived and "
      "what the summary counts, the Close is last") {
    constexpr std::size_t crowd = rounds(400);
    allow_descriptors(2 * crowd + 200);
    live_server server{{.threads = 2}};
    std::vector<peer> peers;
    std::vector<connection> handles;
    for (std::size_t i = 0; i < crowd; ++i) {
      auto its = server.join();
      peers.emplace_back(std::move(its.client), peer_plan{});
      handles.push_back(its.handle);
    }
    auto drained = server->drain({.rate = 1, .spread = 1s, .timeout = 20s});
    // Messages are counted from the first close on: so nothing is sent before it.
    REQUIRE(eventually([&] { return server->drain_state().asked > 0; }));
    REQUIRE(eventually([&] { return server->drain_state().connections == crowd; }));
    load senders{*server, handles};
    CHECK(read_to_the_end(peers));
    const auto summary = drained.get();
    senders.end();

    CHECK(summary.connections == crowd);
    CHECK(summary.closed == crowd);
    CHECK(summary.cut == 0);
    CHECK(senders.sent() == senders.written() + senders.refused());
    CHECK(senders.written() > 0);
    CHECK(summary.messages_written == senders.written());
    // Those that met a connection which had ended already are the sender's to count.
    CHECK(summary.messages_refused <= senders.refused());
    CHECK(summary.messages_refused > 0);
    std::uint64_t received = 0;
    for (const auto& p : peers) {
      CHECK(p.after_close() == 0);
      CHECK(p.cut() == 0);
      CHECK(p.close_code() == 1012);
      received += static_cast<std::uint64_t>(
          std::ranges::count_if(p.frames(), [](const frame& f) { return !f.is_close(); }));
    }
    CHECK(received == senders.written());
    MESSAGE(senders.sent() << " sent, " << summary.messages_written << " written, "
                           << summary.messages_refused << " refused; took " << summary.took.count()
                           << " ms");
  }

  TEST_CASE(
      "a load balancer that resets idle connections: each is told at once, as the transport's "
      "doing, and the next is served") {
    live_server server;
    std::vector<live_server::line> idle;
    for (int i = 0; i < 20; ++i) idle.push_back(server.join());
    for (auto& its : idle) its.client.reset();
    for (auto& its : idle) {
      const auto end = server.end_of(its.handle);
      CHECK(end.by == initiator::transport);
      CHECK(end.code == close_code::abnormal);
      CHECK(end.reason == "Connection reset by peer");
      CHECK(its.handle.send_reported(message::text("x")).get() == send_result::failed);
    }
    CHECK(eventually([&] { return server->connection_count() == 0; }));
    auto next = server.join();
    CHECK(echoes(next.client));
  }

  TEST_CASE("a drain that is cut short ends at once, whoever does not answer") {
    live_server server;
    std::vector<live_server::line> silent;
    for (int i = 0; i < 10; ++i) silent.push_back(server.join());
    auto drained = server->drain({.rate = 1, .spread = 1h, .timeout = 10h});
    REQUIRE(eventually([&] { return server->drain_state().phase == drain_phase::closing; }));
    server->drain({.spread = 0ms, .timeout = 0ms});
    const auto summary = drained.get();
    CHECK(summary.connections == 10);
    CHECK(summary.cut == 10);
    CHECK(summary.took < 5s);
  }
}

}  // namespace fairlead::test
