#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/wire/live_server.hpp"
#include "tests/wire/process.hpp"

/// A client that does not read costs its own queue and no more.
namespace fairlead::test {
namespace {

constexpr std::size_t queue_limit = 256 * 1024;
// Beside the queue: what the allocator keeps, and what an idle test does. What is sent is many times that.
constexpr std::size_t memory_allowance = 16 * 1024 * 1024;

server_options small_queue() {
  server_options options{.threads = 2};
  options.limits.max_queued_bytes = queue_limit;
  options.limits.slow_consumers = slow_policy::drop_newest;
  return options;
}

/// A kilobyte that no other send shares, so that what is kept shows.
message kilobyte(std::size_t n) {
  auto text = std::to_string(n);
  text.resize(1024, '.');
  return message::text(text);
}
/// Again while it is refused: a loop that has no processor for a moment holds back all that comes after.
void broadcast(live_server& server, const message& what) {
  REQUIRE(eventually([&] { return server->broadcast(what); }));
}
std::uint64_t overflows_of(const connection_snapshot& s) {
  return s.counts.outcomes[static_cast<std::size_t>(send_result::overflow)];
}
std::size_t number_of(const frame& f) { return std::stoul(f.payload); }

/// A sanitizer's allocator keeps what was freed.
void check_memory(std::size_t before) {
  if (!sanitized) CHECK(resident_memory() < before + memory_allowance);
}

}  // namespace

TEST_SUITE("wire/slow_reader") {
  TEST_CASE("a client that never reads: its queue stays under its limit, what is over it is "
            "refused as overflow, "
            "memory does not grow, others go on; what was accepted arrives in order") {
    live_server server{small_queue()};
    auto good = server.join("good");
    auto slow = server.join("slow", 4096);
    constexpr std::size_t sends = sanitized ? 20'000 : 100'000;
    std::vector<std::atomic<int>> results(sends);  // result and one; 0: none yet
    const auto before = resident_memory();
    for (std::size_t i = 0; i < sends; ++i) {
      slow.handle.send(kilobyte(i),
                       [&, i](send_result r) { results[i] += static_cast<int>(r) + 1; });
      if (i % 500 != 0) continue;  // and it lets the loop have its turn
      CHECK(echoes(good.client));
      CHECK(server.snapshot_of(slow.handle).queued_bytes <= queue_limit);
      check_memory(before);
    }
    const auto stuck = server.snapshot_of(slow.handle);
    CHECK(stuck.state == connection_state::open);
    CHECK(stuck.queued_bytes > queue_limit / 2);
    CHECK(stuck.wire_bytes <= queue_limit);
    CHECK(overflows_of(stuck) > sends / 4);
    check_memory(before);

    const auto overflowed = [&](std::size_t i) {
      return results[i] == static_cast<int>(send_result::overflow) + 1;
    };
    std::size_t accepted = 0;
    for (std::size_t i = 0; i < sends; ++i) {
      if (overflowed(i)) continue;
      ++accepted;
      const auto next = slow.client.receive_frame();
      REQUIRE(next);
      REQUIRE(number_of(*next) == i);
    }
    CHECK(accepted * 1024 > queue_limit / 2);
    constexpr int written = static_cast<int>(send_result::written) + 1;
    for (std::size_t i = 0; i < sends; ++i)
      REQUIRE(eventually([&] { return overflowed(i) || results[i] == written; }));
    CHECK(slow.handle.send_reported(message::text("again")).get() == send_result::written);
    CHECK(slow.client.receive_frame()->payload == "again");
    CHECK(server.snapshot_of(slow.handle).queued_bytes == 0);
  }

  TEST_CASE("broadcasts past a client that never reads: the others get each of them, the summary "
            "says overflow") {
    live_server server{small_queue()};
    auto good = server.join("good");
    auto slow = server.join("slow", 4096);
    const auto before = resident_memory();
    constexpr std::size_t broadcasts = sanitized ? 16'000 : 64'000;
    constexpr std::size_t at_once = 100;
    for (std::size_t i = 0; i < broadcasts; i += at_once) {
      for (std::size_t n = i; n < i + at_once; ++n) broadcast(server, kilobyte(n));
      for (std::size_t n = i; n < i + at_once; ++n)
        REQUIRE(number_of(*good.client.receive_frame()) == n);
    }
    check_memory(before);
    const auto stuck = server.snapshot_of(slow.handle);
    CHECK(stuck.queued_bytes <= queue_limit);
    CHECK(overflows_of(stuck) > 0);
    mailbox<broadcast_summary> done;
    // Larger than what may be left of the queue.
    server->broadcast(message::text(std::string(queue_limit / 2, 'x')), {},
                      [&](const broadcast_summary& s) { done.put(s); });
    const auto summary = done.take();
    CHECK(summary.count(send_result::written) == 1);
    CHECK(summary.count(send_result::overflow) == 1);

    std::size_t last = 0, received = 0;
    const auto queued_and_written = broadcasts + 1 - overflows_of(server.snapshot_of(slow.handle));
    for (; received < queued_and_written; ++received) {
      const auto n = number_of(*slow.client.receive_frame());
      REQUIRE((received == 0 || n > last));
      last = n;
    }
    CHECK(eventually([&] { return server.snapshot_of(slow.handle).queued_bytes == 0; }));
  }

  TEST_CASE("a client that never reads is closed, and aborted at the deadline: what it did not "
            "take is failed") {
    auto options = small_queue();
    options.limits.close_timeout = std::chrono::milliseconds{200};
    live_server server{options};
    auto slow = server.join("slow", 4096);
    std::array<std::atomic<std::size_t>, send_result_count> seen{};
    std::size_t sends = 0;
    // Until the kernel takes no more. One look may meet what has not been offered to it yet.
    for (int looks = 0; looks < 10;
         looks = server.snapshot_of(slow.handle).wire_bytes < queue_limit / 2 ? 0 : looks + 1) {
      REQUIRE(sends < 100'000);  // no kernel takes that much
      for (const auto end = sends + 200; sends < end; ++sends)
        slow.handle.send(kilobyte(sends),
                         [&](send_result r) { ++seen[static_cast<std::size_t>(r)]; });
    }
    CHECK(slow.handle.close_reported(close_code::slow_consumer, "slow").get() ==
          close_result::initiated);
    const auto end = server.end_of(slow.handle);
    CHECK(end.code == close_code::slow_consumer);
    CHECK_FALSE(end.clean);
    const auto count = [&](send_result r) { return seen[static_cast<std::size_t>(r)].load(); };
    CHECK(eventually([&] {
      return count(send_result::written) + count(send_result::overflow) +
                 count(send_result::failed) + count(send_result::closed) ==
             sends;
    }));
    CHECK(count(send_result::failed) > 0);
    CHECK(count(send_result::closed) == 0);
    CHECK(eventually([&] { return server->connection_count() == 0; }));
  }

  TEST_CASE("by default a client that never reads is closed with 3008 and aborted; each send has "
            "one outcome") {
    auto options = small_queue();
    options.limits.slow_consumers = slow_policy::disconnect;
    options.limits.close_timeout = std::chrono::milliseconds{200};
    live_server server{options};
    auto slow = server.join("slow", 4096);
    std::array<std::atomic<std::size_t>, send_result_count> seen{};
    std::size_t sends = 0;
    for (; server.times_ended(slow.handle) == 0; ++sends) {
      REQUIRE(sends < 1'000'000);  // no kernel takes that much
      slow.handle.send(kilobyte(sends),
                       [&](send_result r) { ++seen[static_cast<std::size_t>(r)]; });
      // Its loop gets its turn, or the burst alone would fill the queue.
      if (sends % 100 == 0) (void)server->snapshot().get();
    }
    const auto end = server.end_of(slow.handle);
    CHECK(end.code == close_code::slow_consumer);
    CHECK(end.reason == "slow");
    CHECK(end.by == initiator::limit);
    CHECK_FALSE(end.clean);
    const auto count = [&](send_result r) { return seen[static_cast<std::size_t>(r)].load(); };
    CHECK(eventually([&] {
      std::size_t answered = 0;
      for (const auto& n : seen) answered += n;
      return answered == sends;
    }));
    CHECK(count(send_result::overflow) == 1);  // the one that closed it
    CHECK(count(send_result::failed) > 0);     // what the client had not taken
    const auto behind = count(send_result::closing) + count(send_result::closed);
    CHECK(count(send_result::written) + count(send_result::failed) + 1 + behind == sends);
  }

  TEST_CASE("ten clients that never read among forty that do: the ten are closed with 3008, the "
            "forty get every broadcast in order, memory stays bounded") {
    auto options = small_queue();
    options.limits.slow_consumers = slow_policy::disconnect;
    options.limits.close_timeout = std::chrono::milliseconds{200};
    live_server server{options};
    std::vector<live_server::line> readers, silent;
    for (int i = 0; i < 40; ++i) readers.push_back(server.join());
    for (int i = 0; i < 10; ++i) silent.push_back(server.join("silent", 4096));
    const auto before = resident_memory();
    std::size_t next = 0;
    // A batch is less than a queue: who reads never meets the limit.
    const auto one_batch = [&] {
      constexpr std::size_t batch = 100;
      for (std::size_t n = next; n < next + batch; ++n) broadcast(server, kilobyte(n));
      for (auto& r : readers)
        for (std::size_t n = next; n < next + batch; ++n)
          REQUIRE(number_of(*r.client.receive_frame()) == n);
      next += batch;
    };
    const auto all_ended = [&] {
      return std::ranges::all_of(silent,
                                 [&](const auto& s) { return server.times_ended(s.handle) > 0; });
    };
    while (!all_ended()) {
      REQUIRE(next < 200'000);  // no kernel takes that much
      one_batch();
      check_memory(before + silent.size() * queue_limit);
    }
    for (const auto& s : silent) {
      const auto end = server.end_of(s.handle);
      CHECK(end.code == close_code::slow_consumer);
      CHECK(end.by == initiator::limit);
    }
    one_batch();
    CHECK(server->connection_count() == readers.size());
    check_memory(before);
  }
}

}  // namespace fairlead::test
