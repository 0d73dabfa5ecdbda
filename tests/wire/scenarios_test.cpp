#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <latch>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "tests/wire/live_server.hpp"
#include "tests/wire/process.hpp"

/// The scenarios in which the system that this one replaces failed, over real sockets.
namespace fairlead::test {
namespace {

using namespace std::chrono_literals;

/// Where in a connection's life a send met it.
int rank(send_result r) {
  return r == send_result::written ? 0 : r == send_result::closing ? 1 : 2;
}

/// The outcomes of one sender's sends through a handle, in their order.
class outcomes {
 public:
  explicit outcomes(std::size_t n) : all_(n), left_(n) {}
  send_callback next() {
    const auto i = next_++;
    return [this, i](send_result r) {
      all_[i] = r;
      --left_;
    };
  }
  const std::vector<std::atomic<send_result>>& await() {
    REQUIRE(eventually([this] { return left_ == 0; }));
    return all_;
  }
  std::size_t count(send_result r) {
    return static_cast<std::size_t>(
        std::ranges::count_if(await(), [r](const auto& one) { return one == r; }));
  }
  /// A connection's life as its sends met it. `failed` may stand for a message that was queued when it broke.
  bool in_order_of_states() {
    return std::ranges::is_sorted(await(),
                                  [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  }

 private:
  std::vector<std::atomic<send_result>> all_;
  std::atomic<std::size_t> left_;
  std::size_t next_ = 0;
};

broadcast_summary broadcast(server& s, std::string_view text) {
  mailbox<broadcast_summary> done;
  s.broadcast(message::text(text), {}, [&](const broadcast_summary& b) { done.put(b); });
  return done.take();
}

broadcast_summary send_to_user(server& s, std::string user) {
  mailbox<broadcast_summary> done;
  s.send_to_user(std::move(user), message::text("x"),
                 [&](const broadcast_summary& b) { done.put(b); });
  return done.take();
}

send_result send_by_id(server& s, connection_id id) {
  mailbox<send_result> done;
  s.send(id, message::text("x"), [&](send_result r) { done.put(r); });
  return done.take();
}

/// What a client receives up to the Close frame, which it answers, and that nothing follows.
std::vector<frame> read_and_answer(raw_client& client) {
  std::vector<frame> frames;
  while (auto next = client.receive_frame()) {
    frames.push_back(*next);
    if (!next->is_close()) continue;
    (void)client.try_send(close_frame(next->close_code()));
    CHECK(client.ends_here());
    CHECK_FALSE(client.was_reset());
    return frames;
  }
  return frames;
}

enum class way { we_close, removal, peer_closes, peer_resets };
constexpr std::array ways{way::we_close, way::removal, way::peer_closes, way::peer_resets};

void end_by(way how, live_server& server, live_server::line& its) {
  switch (how) {
  case way::we_close: return its.handle.close(close_code{4000}, "over");
  case way::removal: return server->remove(its.handle.id(), close_code{4000}, "over");
  case way::peer_closes: return its.client.send(close_frame(4000, "over"));
  case way::peer_resets: return its.client.reset();
  }
}

}  // namespace

TEST_SUITE("wire/scenarios") {
  TEST_CASE(
      "concurrent send and close: what was written is what arrived, the rest was refused, and the "
      "Close is last") {
    constexpr std::size_t sends = 60;
    live_server server{{.threads = 2}};
    std::size_t refused = 0;
    for (std::size_t round = 0; round < rounds(300); ++round) {
      auto its = server.join();
      outcomes seen{sends};
      std::latch start{2};
      std::jthread sender{[&] {
        start.arrive_and_wait();
        for (std::size_t i = 0; i < sends; ++i)
          its.handle.send(message::text(std::to_string(i)), seen.next());
      }};
      std::jthread closer{[&] {
        start.arrive_and_wait();
        for (std::size_t i = 0; i < round % 64; ++i) std::this_thread::yield();
        its.handle.close(close_code{4000}, "over");
      }};
      const auto frames = read_and_answer(its.client);
      const auto written = seen.count(send_result::written);
      refused += sends - written;
      REQUIRE(seen.in_order_of_states());
      REQUIRE(frames.size() == written + 1);
      for (std::size_t i = 0; i < written; ++i) REQUIRE(frames[i].payload == std::to_string(i));
      REQUIRE(frames.back().close_code() == 4000);
    }
    CHECK(refused > 0);
  }

  TEST_CASE("a send on a closing connection is refused as closing, by every way to send, and as "
            "closed once it has ended") {
    server_options options{.threads = 2};
    options.limits.close_timeout = 1min;
    live_server server{options};
    auto its = server.join("ann");
    CHECK(its.handle.close_reported(close_code{4001}, "bye").get() == close_result::initiated);

    CHECK(its.handle.send_reported(message::text("x")).get() == send_result::closing);
    CHECK(send_by_id(*server, its.handle.id()) == send_result::closing);
    CHECK(send_to_user(*server, "ann").count(send_result::closing) == 1);
    CHECK(broadcast(*server, "x").count(send_result::closing) == 1);
    CHECK(its.handle.close_reported(close_code{4002}).get() == close_result::already_closing);
    CHECK(server.snapshot_of(its.handle).state == connection_state::closing);
    CHECK(server->connection_count() == 1);

    const auto frames = read_and_answer(its.client);
    REQUIRE(frames.size() == 1);
    CHECK(frames.front().close_code() == 4001);  // the first close stands
    CHECK(server.end_of(its.handle) ==
          close_info{close_code{4001}, "bye", initiator::application, true});
    CHECK(its.handle.send_reported(message::text("x")).get() == send_result::closed);
    CHECK(its.handle.close_reported().get() == close_result::already_closed);
    CHECK(eventually([&] { return server->connection_count() == 0; }));
    CHECK(send_by_id(*server, its.handle.id()) == send_result::no_such_connection);
    CHECK(send_to_user(*server, "ann").count(send_result::no_such_connection) == 1);
  }

  TEST_CASE("a peer that never answers a Close is aborted at the close deadline, and nothing "
            "follows the Close") {
    server_options options{.threads = 1};
    options.limits.close_timeout = 300ms;
    live_server server{options};
    auto its = server.join();
    its.handle.close(close_code{4001}, "bye");
    CHECK(server.end_of(its.handle) ==
          close_info{close_code{4001}, "bye", initiator::application, false});
    CHECK(its.client.receive_frame()->close_code() == 4001);
    CHECK(its.client.ends_here());
  }

  TEST_CASE("the manager sends while a connection closes: the others get everything, the summary "
            "tells them "
            "apart") {
    live_server server{{.threads = 2}};
    std::vector<live_server::line> others;
    for (int i = 0; i < 7; ++i) others.push_back(server.join("team"));
    auto leaving = server.join("team");
    std::jthread closer{[&] {
      leaving.handle.close(close_code{4000}, "over");
      leaving.handle.close(close_code{4000}, "over");
    }};
    broadcast_summary all;
    constexpr int broadcasts = 50;
    for (int i = 0; i < broadcasts; ++i) all += broadcast(*server, std::to_string(i));
    closer.join();
    CHECK(all.addressed() == 8 * broadcasts);  // a closing connection is still addressed
    CHECK(all.count(send_result::written) + all.count(send_result::closing) == 8 * broadcasts);
    const auto to_user = send_to_user(*server, "team");
    CHECK(to_user.count(send_result::written) == 7);
    CHECK(to_user.count(send_result::closing) == 1);

    const auto frames = read_and_answer(leaving.client);
    CHECK(frames.size() - 1 == all.count(send_result::written) - 7 * broadcasts);
    for (auto& other : others)
      for (int i = 0; i < broadcasts; ++i)
        REQUIRE(other.client.receive_frame()->payload == std::to_string(i));
  }

  TEST_CASE("state transitions during the race: outcomes go from written to closing to closed or "
            "failed and "
            "never back, however it ends") {
    live_server server{{.threads = 2}};
    std::array<std::size_t, ways.size()> finals{};
    for (std::size_t round = 0; round < rounds(200); ++round) {
      const auto how = ways[round % ways.size()];
      auto its = server.join();
      std::atomic<bool> ended{false};
      std::size_t steps_back = 0;
      std::jthread sender{[&] {
        // One at a time: each outcome is known before the next is asked for.
        send_result last = send_result::written;
        while (!ended) {
          const auto now = its.handle.send_reported(message::text("x")).get();
          if (rank(now) < rank(last)) ++steps_back;
          last = now;
          if (rank(now) == 2) ended = true;
        }
      }};
      for (std::size_t i = 0; i < round % 32; ++i) std::this_thread::yield();
      end_by(how, server, its);
      if (how != way::peer_resets) read_and_answer(its.client);
      its.client.close();
      sender.join();
      CHECK(steps_back == 0);
      const auto met = its.handle.send_reported(message::text("x")).get();
      const auto told = std::string{to_string(met)} + ": " + server.end_of(its.handle).reason;
      CAPTURE(told);
      CHECK(met == (how == way::peer_resets ? send_result::failed : send_result::closed));
      ++finals[round % ways.size()];
    }
    for (const auto n : finals) CHECK(n > 0);
  }

  TEST_CASE("accepted: while a user's actor is made on another loop, a send by id is refused, "
            "and nothing of it is written") {
    std::mutex mutex;
    std::map<std::string, std::thread::id> thread_of;
    std::promise<void> release;
    const auto released = release.get_future().share();
    std::atomic<bool> holding{false};
    std::atomic<std::size_t> made{0};
    server_options options{.threads = 2};
    options.on_upgrade = [&](const upgrade_request& r) -> admission {
      const std::lock_guard lock{mutex};
      thread_of[std::string{r.query}] = std::this_thread::get_id();
      return admit{std::string{r.query}};
    };
    options.per_user = [&](const std::string& user) {
      const auto elsewhere = [&] {
        const std::lock_guard lock{mutex};
        return thread_of[user] != std::this_thread::get_id();
      };
      if (elsewhere() && !holding.exchange(true)) released.wait_for(10s);
      ++made;
      return std::make_unique<behavior>();
    };
    live_server server{options};
    std::vector<raw_client> clients;
    for (std::size_t n = 0; !holding; ++n) {
      REQUIRE(n < 100);
      clients.emplace_back(server->address()).upgrade("/ws?user" + std::to_string(n));
      REQUIRE(eventually([&] { return holding || made == n + 1; }));
      if (!holding) server.opened();
    }
    std::optional<connection_id> held;
    // The loop that is held does not answer.
    REQUIRE(eventually([&] {
      for (const auto& one : server->snapshot(100ms).get().connections)
        if (one.state == connection_state::accepted) held = one.id;
      return held.has_value();
    }));
    CHECK(send_by_id(*server, *held) == send_result::accepted);
    release.set_value();
    CHECK(server.opened().id() == *held);
    CHECK(send_by_id(*server, *held) == send_result::written);
    CHECK(clients.back().receive_frame()->payload == "x");  // and nothing of what was refused
  }

  TEST_CASE("reconnecting: a user whose actor waits for another connection") {
    server_options options{.threads = 2};
    options.per_user = [](const std::string&) { return std::make_unique<behavior>(); };
    live_server server{options};
    auto its = server.join("ann");
    CHECK(send_to_user(*server, "ann").count(send_result::written) == 1);
    its.client.send(close_frame(1000));
    CHECK(server.end_of(its.handle).clean);
    REQUIRE(eventually([&] { return server->connection_count() == 0; }));
    const auto between = send_to_user(*server, "ann");
    CHECK(between.count(send_result::reconnecting) == 1);
    CHECK(between.addressed() == 1);
    auto again = server.join("ann");
    CHECK(send_to_user(*server, "ann").count(send_result::written) == 1);
  }
}

}  // namespace fairlead::test
