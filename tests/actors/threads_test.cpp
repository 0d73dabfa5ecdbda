#include <atomic>
#include <future>
#include <random>
#include <thread>

#include <doctest/doctest.h>

#include "actors/backbone.hpp"
#include "tests/actors/scribe.hpp"
#include "tests/support/fake_link.hpp"
#include "tests/support/threaded_loop.hpp"

/// The one test of actors/ with real threads: a smoke test for the sanitizers. What is promised is tested one turn at a
/// time in the others.
using namespace fairlead;
using namespace fairlead::test;
using namespace std::chrono_literals;

namespace {

/// Counts requests and their answers, from any thread.
class ledger {
 public:
  template <class Answer>
  std::function<void(Answer)> next() {
    auto seen = std::make_shared<std::atomic<int>>(0);
    ++asked_;
    return [this, seen](const Answer&) {
      if (seen->fetch_add(1) == 0)
        ++answered_;
      else
        ++twice_;
    };
  }
  void check() const {
    CHECK(answered_ == asked_);
    CHECK(twice_ == 0);
  }

 private:
  std::atomic<std::uint64_t> asked_{0}, answered_{0}, twice_{0};
};

struct client {
  connection handle;
  std::shared_ptr<fake_link> link;
};

/// Runs `f` on the loop and waits for it.
template <class F>
auto on(threaded_loop& loop, F f) {
  std::packaged_task<decltype(f())()> task{std::move(f)};
  auto result = task.get_future();
  auto shared = std::make_shared<decltype(task)>(std::move(task));
  REQUIRE(loop.post([shared] { (*shared)(); }));
  return result.get();
}

struct world {
  static constexpr std::size_t loop_count = 2, per_loop = 16;

  world() {
    actors::backbone_options o;
    for (std::size_t i = 0; i < loop_count; ++i) loops.push_back(std::make_shared<threaded_loop>());
    o.loops.assign(loops.begin(), loops.end());
    o.side = side;
    o.limits.max_queued_messages = 64;
    o.limits.close_timeout = 50ms;
    o.on_message = [this](const connection& c, const message& m) {
      if (m.view() == "broadcast") backbone->broadcast(m, {c.id()});
    };
    o.per_user = [](const std::string&) { return std::make_unique<behavior>(); };
    backbone = std::make_unique<actors::backbone>(std::move(o));
    for (std::size_t i = 0; i < loop_count * per_loop; ++i)
      clients.push_back(on(*loops[i % loop_count], [&, i] { return connect(i); }));
  }

  client connect(std::size_t i) {
    auto link = std::make_shared<fake_link>();
    const auto user = i % 4 ? "user" + std::to_string(i % 5) : "";
    auto handle = backbone->connect(i % loop_count, link, {"p", user, "/"});
    link->upgrade();
    return {std::move(handle), std::move(link)};
  }

  /// What the peers of one loop do, on that loop's thread.
  void peers_act(std::size_t loop, std::mt19937& random) {
    for (std::size_t i = loop; i < clients.size(); i += loop_count) {
      auto& link = *clients[i].link;
      if (link.waits_for_peer()) link.closing_handshake_done();
      switch (random() % 64) {
      case 0: link.peer_closes(close_code::going_away); break;
      case 1: link.fails(); break;
      case 2: link.room = 50; break;
      case 3: link.kernel_takes(1000); break;
      case 4: link.peer_sends("broadcast"); break;
      default: link.peer_sends("hello"); break;
      }
    }
  }

  void hammer(std::uint32_t seed) {
    std::mt19937 random{seed};
    for (int i = 0; i < 400; ++i) {
      const auto& c = clients[random() % clients.size()];
      const auto text = message::text("hello");
      switch (random() % 32) {
      case 0: c.handle.close(close_code::normal, {}, book.next<close_result>()); break;
      case 1:
        backbone->remove(c.handle.id(), close_code::normal, {}, book.next<close_result>());
        break;
      case 2:
      case 3: backbone->broadcast(text, {}, book.next<broadcast_summary>()); break;
      case 4: backbone->broadcast(text, {c.handle.id()}); break;
      case 5: backbone->send_to_user("user1", text, book.next<broadcast_summary>()); break;
      case 6: backbone->send(c.handle.id(), text, book.next<send_result>()); break;
      case 7: backbone->take_connections(1ms, book.next<server_snapshot>()); break;
      case 8: c.handle.send(text); break;
      case 9: c.handle.send(text, {.key = "latest"}, book.next<send_result>()); break;
      case 10:
        c.handle.send(text, {.ttl = 1ms, .policy = slow_policy::drop_oldest},
                      book.next<send_result>());
        break;
      case 11: backbone->broadcast(text, {}, {.ttl = 1ms, .key = "latest"}, nullptr); break;
      default: c.handle.send(text, book.next<send_result>()); break;
      }
      if (random() % 50 == 0) {
        const auto loop = random() % loop_count;
        loops[loop]->post([this, loop, s = random()] {
          std::mt19937 theirs{static_cast<std::uint32_t>(s)};
          peers_act(loop, theirs);
        });
      }
    }
  }

  void stop() {
    std::promise<shutdown_summary> done;
    auto summary = done.get_future();
    backbone->stop(200ms, close_code::going_away, "bye",
                   [&](const shutdown_summary& s) { done.set_value(s); });
    const auto s = summary.get();
    CHECK(s.connections == s.closed + s.aborted);
  }

  std::vector<std::shared_ptr<threaded_loop>> loops;
  std::shared_ptr<threaded_loop> side = std::make_shared<threaded_loop>();
  ledger book;
  std::vector<client> clients;
  std::unique_ptr<actors::backbone> backbone;
};

}  // namespace

TEST_SUITE_BEGIN("actors/threads");

TEST_CASE("four threads send, close and broadcast while loops run and stop: one answer for each "
          "request") {
  for (std::uint32_t round = 0; round < 4; ++round) {
    CAPTURE(round);
    world w;
    std::vector<std::thread> threads;
    for (std::uint32_t t = 0; t < 4; ++t) threads.emplace_back([&, t] { w.hammer(round * 4 + t); });
    if (round % 2) threads[0].join();  // else they go on while it stops
    w.stop();
    for (auto& t : threads)
      if (t.joinable()) t.join();
    w.stop();  // answered again
    for (auto& l : w.loops) l->stop();
    w.side->stop();
    w.backbone.reset();
    for (const auto& c : w.clients) {
      CHECK(ends_at_its_close(c.link->sent));
      CHECK_FALSE(c.link->has_observer());
      c.handle.send(message::text("x"), w.book.next<send_result>());
    }
    w.book.check();
  }
}

TEST_SUITE_END();
