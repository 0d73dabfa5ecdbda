#include <algorithm>
#include <array>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "tests/wire/live_server.hpp"
#include "tests/wire/process.hpp"

namespace fairlead::test {
namespace {

constexpr std::size_t members = 12, senders = 3;
constexpr std::size_t each = rounds(600);  // broadcasts of one sender

/// So many connections that both loops have some.
std::vector<live_server::line> join_both_loops(live_server& server) {
  std::vector<live_server::line> all;
  std::array<std::size_t, 2> on{};
  while (all.size() < members || std::ranges::min(on) < 2) {
    REQUIRE(all.size() < 200);
    all.push_back(server.join());
    ++on.at(all.back().handle.id().loop);
  }
  return all;
}

std::string text_of(std::size_t sender, std::size_t n) {
  return std::string(1, static_cast<char>('a' + sender)) + std::to_string(n);
}

/// Who does not get it: nobody at all, or one of those but the first.
std::size_t left_out(std::size_t sender, std::size_t n, std::size_t of) {
  return n % 3 == 0 ? of : 1 + (sender + n) % (of - 1);
}

/// Some with a summary, most without: the ones are counted one by one, the others folded.
void broadcast_all(live_server& server, const std::vector<live_server::line>& all,
                   std::size_t sender, std::atomic<std::size_t>& wrong) {
  for (std::size_t n = 0; n < each; ++n) {
    std::vector<connection_id> except;
    const auto out = left_out(sender, n, all.size());
    if (out < all.size()) except.push_back(all[out].handle.id());
    const auto expected = all.size() - except.size();
    if (n % 7 == 0) {
      server->broadcast(message::text(text_of(sender, n)), except,
                        [&wrong, expected](const broadcast_summary& s) {
                          wrong +=
                              s.count(send_result::written) == expected && s.refused() == 0 ? 0 : 1;
                        });
    } else if (!server->broadcast(message::text(text_of(sender, n)), except)) {
      ++wrong;
    }
  }
}

std::vector<std::string> without(const std::vector<std::string>& texts, std::size_t who,
                                 std::size_t of) {
  std::vector<std::string> rest;
  for (const auto& t : texts)
    if (left_out(static_cast<std::size_t>(t[0] - 'a'), std::stoul(t.substr(1)), of) != who)
      rest.push_back(t);
  return rest;
}

std::vector<std::string> receive(raw_client& client, std::size_t n) {
  std::vector<std::string> texts;
  while (texts.size() < n) {
    const auto next = client.receive_frame();
    REQUIRE(next);
    texts.push_back(next->payload);
  }
  return texts;
}

}  // namespace

TEST_SUITE("wire/broadcast_order") {
  TEST_CASE("over two loops every connection sees the same order, in it each sender's own; who is "
            "left out of a "
            "broadcast misses that one and no other") {
    live_server server{{.threads = 2}};
    auto all = join_both_loops(server);
    std::atomic<std::size_t> wrong{0};
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < senders; ++i)
        threads.emplace_back([&, i] { broadcast_all(server, all, i, wrong); });
    }
    const auto order = receive(all[0].client, senders * each);  // never left out
    for (std::size_t sender = 0; sender < senders; ++sender) {
      std::size_t n = 0;
      for (const auto& text : order)
        if (text[0] == static_cast<char>('a' + sender)) REQUIRE(text == text_of(sender, n++));
      CHECK(n == each);
    }
    for (std::size_t i = 1; i < all.size(); ++i) {
      const auto expected = without(order, i, all.size());
      REQUIRE(receive(all[i].client, expected.size()) == expected);
    }
    REQUIRE(server->broadcast(message::text("last")));
    for (auto& its : all) CHECK(its.client.receive_frame()->payload == "last");  // nothing besides
    CHECK(wrong == 0);
  }
}

}  // namespace fairlead::test
