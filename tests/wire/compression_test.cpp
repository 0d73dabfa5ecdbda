#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/support/http_client.hpp"
#include "tests/support/zlib_peer.hpp"
#include "tests/wire/live_server.hpp"

namespace fairlead::test {
namespace {

using lines = std::vector<live_server::line>;
constexpr unsigned rsv1 = 4;
constexpr std::size_t loops = 2;

const server_options two_loops{
    .internal = "127.0.0.1:0", .threads = loops, .compression = {.enabled = true}};

raw_client offering(const std::string& address, std::string_view offer) {
  raw_client client{address};
  client.upgrade("/ws", offer);
  return client;
}

/// A server, and clients on both of its loops.
struct crowd {
  /// `offer`: the header field of permessage-deflate, or nothing.
  lines join(std::string offer) {
    lines all;
    std::array<std::size_t, loops> on{};
    while (all.size() < 12 || std::ranges::min(on) < 2) {
      REQUIRE(all.size() < 200);
      auto client = offering(server->address(), offer);
      all.push_back({std::move(client), server.opened()});
      ++on.at(all.back().handle.id().loop);
    }
    return all;
  }
  lines join_compressing(const std::string& parameters = "") {
    return join("Sec-WebSocket-Extensions: permessage-deflate" + parameters + "\r\n");
  }
  [[nodiscard]] std::size_t compressed() {
    const auto page = request(server->internal_address(), "GET", "/metrics").body;
    const std::string name = "\nfairlead_compressed_messages_total ";
    const auto at = page.find(name);
    REQUIRE(at != std::string::npos);
    return std::stoul(page.substr(at + name.size()));
  }

  live_server server{two_loops};
};

std::string text_of(std::size_t n) {
  std::string text;
  while (text.size() < 2000)
    text += "{\"message\": " + std::to_string(n * text.size()) + ", \"of\": \"many\"}, ";
  return text;
}

/// Frames as they came: compressed or not, with their payload.
using seen = std::vector<std::pair<unsigned, std::string>>;

seen receive(raw_client& client, std::size_t n) {
  seen all;
  while (all.size() < n) {
    auto next = client.receive_frame();
    REQUIRE(next);
    all.emplace_back(next->reserved, std::move(next->payload));
  }
  return all;
}
/// The same at each of them.
seen receive(lines& who, std::size_t n) {
  const auto first = receive(who[0].client, n);
  for (std::size_t i = 1; i < who.size(); ++i) REQUIRE(receive(who[i].client, n) == first);
  return first;
}

std::vector<std::string> texts_of(const seen& frames, int window_bits = 15) {
  std::vector<std::string> texts;
  for (const auto& [reserved, payload] : frames)
    texts.push_back(reserved == rsv1 ? inflated(payload, window_bits) : payload);
  return texts;
}
std::size_t compressed_in(const seen& frames) {
  return static_cast<std::size_t>(
      std::ranges::count_if(frames, [](const auto& f) { return f.first == rsv1; }));
}

/// Sent at once, so that they are folded; every third is too short to be compressed.
std::vector<std::string> broadcast_many(live_server& server, std::size_t n) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < n; ++i) {
    texts.push_back(i % 3 == 2 ? std::to_string(i) : text_of(i));
    REQUIRE(server->broadcast(message::text(texts.back())));
  }
  return texts;
}

}  // namespace

TEST_SUITE("wire/compression") {
  TEST_CASE("a broadcast is compressed once, and the same bytes go to all, whatever their loop") {
    crowd c;
    auto compressing = c.join_compressing();
    auto plain = c.join("");
    for (std::size_t i = 0; i < 20; ++i) {
      REQUIRE(c.server->broadcast(message::text(text_of(i))));
      const auto got = receive(compressing, 1);
      CHECK(got[0].first == rsv1);
      CHECK(texts_of(got)[0] == text_of(i));
      CHECK(receive(plain, 1) == seen{{0, text_of(i)}});
    }
    CHECK(c.compressed() == 20);
  }

  TEST_CASE("folded broadcasts: each of them once") {
    crowd c;
    auto compressing = c.join_compressing();
    auto plain = c.join("");
    const auto sent = broadcast_many(c.server, 300);
    const auto got = receive(compressing, 300);
    CHECK(texts_of(got) == sent);
    CHECK(compressed_in(got) == 200);
    CHECK(texts_of(receive(plain, 300)) == sent);
    CHECK(c.compressed() == 200);
  }

  TEST_CASE("with outcomes, with options of their own, and with exceptions: once as well") {
    crowd c;
    auto compressing = c.join_compressing();
    std::vector<connection_id> except{compressing.back().handle.id()};
    mailbox<broadcast_summary> summaries;
    for (std::size_t i = 0; i < 30; ++i) {
      const send_options how{.ttl = std::chrono::minutes{1}, .refused_ids = 2};
      const auto text = message::text(text_of(i));
      if (i % 3 == 0)
        c.server->broadcast(text, except, [&](const auto& s) { summaries.put(s); });
      else if (i % 3 == 1)
        c.server->broadcast(text, except, how, [&](const auto& s) { summaries.put(s); });
      else
        REQUIRE(c.server->broadcast(text, except));
    }
    REQUIRE(c.server->broadcast(message::text("the end")));
    for (int i = 0; i < 20; ++i)
      CHECK(summaries.take().count(send_result::written) == compressing.size() - 1);
    CHECK(receive(compressing.back().client, 1) == seen{{0, "the end"}});
    compressing.pop_back();
    const auto got = receive(compressing, 31);
    CHECK(compressed_in(got) == 30);
    for (std::size_t i = 0; i < 30; ++i) CHECK(texts_of(got)[i] == text_of(i));
    CHECK(c.compressed() == 30);
  }

  TEST_CASE("what does not shrink is tried once, and goes to all as it is") {
    crowd c;
    auto compressing = c.join_compressing();
    std::string noise;
    for (unsigned i = 0, x = 7; i < 500; ++i, x = x * 1103515245U + 12345U)
      noise += static_cast<char>(x >> 16U);
    for (int i = 0; i < 2; ++i)
      REQUIRE(c.server->broadcast(message::make(message_kind::binary, noise)));
    CHECK(receive(compressing, 2) == seen{{0, noise}, {0, noise}});
    CHECK(c.compressed() == 2);
  }

  TEST_CASE("who has a smaller window gets what is made for it, on each loop") {
    crowd c;
    auto compressing = c.join_compressing();
    auto small = c.join_compressing("; server_max_window_bits=9");
    for (std::size_t i = 0; i < 10; ++i) {
      REQUIRE(c.server->broadcast(message::text(text_of(i))));
      CHECK(texts_of(receive(compressing, 1))[0] == text_of(i));
      const auto got = receive(small, 1);
      CHECK(got[0].first == rsv1);
      CHECK(texts_of(got, 9)[0] == text_of(i));
    }
    CHECK(c.compressed() == 10 * (1 + loops));
  }

  TEST_CASE("nothing is compressed while nobody wants it so, or any more") {
    crowd c;
    auto plain = c.join("");
    CHECK(texts_of(receive(plain, broadcast_many(c.server, 30).size())).size() == 30);
    CHECK(c.compressed() == 0);
    auto compressing = c.join_compressing();
    REQUIRE(c.server->broadcast(message::text(text_of(1))));
    CHECK(texts_of(receive(compressing, 1))[0] == text_of(1));
    CHECK(c.compressed() == 1);
    for (auto& [client, handle] : compressing) {
      client.send(close_frame(1000));
      CHECK(client.receive_frame()->is_close());
      CHECK(c.server.end_of(handle).code == close_code::normal);
    }
    broadcast_many(c.server, 30);
    CHECK(receive(plain, 31).size() == 31);
    CHECK(c.compressed() == 1);
  }
}

}  // namespace fairlead::test
