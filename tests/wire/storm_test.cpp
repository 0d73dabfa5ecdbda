#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include <doctest/doctest.h>

#include "tests/wire/live_server.hpp"
#include "tests/wire/peers.hpp"
#include "tests/wire/process.hpp"

namespace fairlead::test {
namespace {

constexpr std::size_t crowd_size = rounds(2000);
constexpr int broadcasters = 2;

/// Each sender's broadcasts in its order, then the Close, then nothing.
std::size_t check_peer(const peer& p, bool greeted) {
  CHECK(p.after_close() == 0);
  CHECK(p.close_code() == 1001);
  CHECK_FALSE(p.end_was_reset());
  CHECK(p.cut() == 0);
  std::map<char, int> last;
  std::size_t received = 0;
  for (const auto& f : p.frames()) {
    if (f.is_close()) continue;
    const int n = std::stoi(f.payload.substr(1));
    CHECK(n > last[f.payload[0]]);
    last[f.payload[0]] = n;
    ++received;
  }
  CHECK(last['g'] == (greeted ? 1 : 0));
  return received;
}

/// Broadcasts, each with its summary, until one reaches nobody.
class storm {
 public:
  explicit storm(server& s) : server_(s) {
    for (int i = 0; i < broadcasters; ++i) threads_.emplace_back([this, i] { run(i); });
  }
  void await_broadcasts(int n) {
    REQUIRE(eventually([&] { return answered_ >= n; }));
  }
  void await_end() { threads_.clear(); }
  [[nodiscard]] bool all_answered_once() const { return asked_ == answered_; }
  [[nodiscard]] int asked() const { return asked_; }
  [[nodiscard]] std::uint64_t written() const { return written_; }
  [[nodiscard]] int to_all() const { return to_all_; }

 private:
  void run(int who) {
    for (int n = 1;; ++n) {
      std::promise<broadcast_summary> done;
      auto future = done.get_future();
      ++asked_;
      server_.broadcast(message::text(static_cast<char>('a' + who) + std::to_string(n)), {},
                        [&](const broadcast_summary& s) {
                          ++answered_;
                          done.set_value(s);
                        });
      const auto summary = future.get();
      const auto written = summary.count(send_result::written);
      written_ += written;
      if (summary.addressed() == crowd_size) ++to_all_;
      if (written == 0) return;
    }
  }

  server& server_;
  std::atomic<int> asked_{0}, answered_{0}, to_all_{0};
  std::atomic<std::uint64_t> written_{0};
  std::vector<std::jthread> threads_;
};

}  // namespace

TEST_SUITE("wire/storm") {
  TEST_CASE("2,000 connections: a broadcast addresses each of them; a shutdown amid broadcasts "
            "closes each of them "
            "behind what was written, and gives every descriptor back") {
    allow_descriptors(2 * crowd_size + 200);
    { const live_server warm{{.threads = 2}}; }
    const auto before = open_descriptors();
    {
      live_server server{{.threads = 2}};
      std::vector<peer> peers;
      for (std::size_t i = 0; i < crowd_size; ++i)
        peers.emplace_back(server.join().client, peer_plan{});
      CHECK(server->connection_count() == crowd_size);

      mailbox<broadcast_summary> greeted;
      server->broadcast(message::text("g1"), {},
                        [&](const broadcast_summary& s) { greeted.put(s); });
      const auto greeting = greeted.take();
      CHECK(greeting.addressed() == crowd_size);
      CHECK(greeting.count(send_result::written) == crowd_size);

      storm weather{*server};
      bool all_ended = false;
      std::jthread reader{[&] { all_ended = read_to_the_end(peers); }};
      weather.await_broadcasts(10);
      const auto summary = server->shutdown();
      weather.await_end();
      reader.join();
      CHECK(all_ended);
      CHECK(summary.connections == crowd_size);
      CHECK(summary.closed == crowd_size);
      CHECK(summary.aborted == 0);
      CHECK(weather.all_answered_once());
      CHECK(weather.to_all() >= 10);

      std::size_t received = 0;
      for (const auto& p : peers) received += check_peer(p, true);
      CHECK(received == weather.written() + crowd_size);
      MESSAGE(weather.asked() << " broadcasts, " << received << " received, shutdown took "
                              << summary.took.count() << " ms");
    }
    CHECK(open_descriptors() == before);
  }

  TEST_CASE("connections that come and go while others are broadcast to: every summary is the sum "
            "of its parts") {
    live_server server{{.threads = 2}};
    std::atomic<bool> over{false};
    std::atomic<std::size_t> received{0};
    std::vector<std::jthread> comers;
    for (int i = 0; i < 3; ++i) {
      comers.emplace_back([&] {
        while (!over) {
          raw_client client{server->address()};
          client.upgrade("/ws");
          client.send(close_frame(1000));  // at once: also while it is not open yet
          while (const auto f = client.receive_frame()) received += f->is_close() ? 0 : 1;
        }
      });
    }
    auto stays = server.join();
    broadcast_summary all;
    constexpr std::size_t broadcasts = rounds(500);
    for (std::size_t i = 0; i < broadcasts; ++i) {
      mailbox<broadcast_summary> done;
      server->broadcast(message::text("b"), {}, [&](const broadcast_summary& s) { done.put(s); });
      all += done.take();
      REQUIRE(stays.client.receive_frame()->payload == "b");
    }
    over = true;
    comers.clear();
    CHECK(all.count(send_result::written) == broadcasts + received);
    CHECK(all.addressed() >= all.count(send_result::written));
    CHECK(all.count(send_result::overflow) == 0);
    CHECK(eventually([&] { return server->connection_count() == 1; }));
  }
}

}  // namespace fairlead::test
