#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "protocol/wire.hpp"
#include "tests/protocol/recording_receipt.hpp"

using namespace fairlead;
using namespace fairlead::protocol;
using namespace fairlead::protocol::test;
using namespace std::chrono_literals;
using namespace std::string_literals;
using results = std::vector<send_result>;

namespace {

constexpr time_point now{1h};

std::string take(wire& w, std::size_t most = 1'000'000) {
  std::array<std::string_view, 64> buffers;
  std::string bytes;
  for (std::size_t i = 0, count = w.gather(buffers); i < count; ++i) bytes += buffers[i];
  bytes.resize(std::min(bytes.size(), most));
  w.consume(bytes.size());
  return bytes;
}

/// A wire behind its handshake, and the receipts of what is pushed to it.
struct queue {
  wire w;
  std::vector<std::shared_ptr<recording_receipt>> asked;

  queue() { w.handshake_done(); }
  void push(std::initializer_list<std::string_view> texts, const send_options& how = {}) {
    asked.push_back(std::make_shared<recording_receipt>(make_terms(how, now)));
    REQUIRE(w.push(run_of(texts, asked.back())));
  }
  [[nodiscard]] results told(std::size_t i) const { return asked[i]->told; }
};

send_options key(std::string k) { return {.key = std::move(k)}; }
send_options ttl(std::chrono::milliseconds t) { return {.ttl = t}; }

const results nothing, written{send_result::written}, overflow{send_result::overflow},
    expired{send_result::expired};

}  // namespace

TEST_SUITE_BEGIN("protocol/take_back");

TEST_CASE("what a transport has begun with is not taken back") {
  queue q;
  for (const auto text : {"1", "2", "3", "4"}) q.push({text}, key("k"));
  take(q.w, 1);
  auto next = now;
  SUBCASE("the oldest") { CHECK(q.w.drop_oldest({100, 100}, 3).messages == 2); }
  SUBCASE("by key") { CHECK(q.w.drop_key(*make_terms(key("k"), now), 3).messages == 2); }
  SUBCASE("expired") {
    CHECK(q.w.drop_expired(now, next, 3).messages == 0);
    CHECK(q.w.drop_oldest({100, 100}, 3).messages == 2);
  }
  SUBCASE("all is begun") {
    CHECK(q.w.drop_oldest({100, 100}, 11).messages == 0);
    CHECK(q.w.drop_oldest({100, 100}, 2).messages == 3);
    CHECK(q.told(1) == overflow);
    return;
  }
  CHECK(q.told(1) == nothing);
  CHECK(q.told(2) == overflow);
  CHECK(take(q.w) == "\x01"
                     "1"
                     "\x81\x01"
                     "2");
}

TEST_CASE("the oldest go first, as many as it takes, and are told") {
  queue q;
  for (const auto text : {"1", "2", "3", "4"}) q.push({text});
  const auto gone = q.w.drop_oldest({2, 0});
  CHECK(gone.messages == 2);
  CHECK(gone.bytes == 6);
  CHECK(q.w.queued_bytes() == 6);
  CHECK(q.told(0) == overflow);
  CHECK(q.told(1) == overflow);
  CHECK(q.w.drop_oldest({0, 1}).messages == 1);
  CHECK(take(q.w) == "\x81\x01"
                     "4");
  CHECK(q.told(3) == written);
  CHECK(q.w.drop_oldest({1, 1}).messages == 0);
}

TEST_CASE("what the kernel has a part of is finished, whatever is taken back behind it") {
  queue q;
  q.push({"begun"}, ttl(1ms));
  q.push({"2"}, ttl(1ms));
  q.push({"3"}, key("k"));
  CHECK(take(q.w, 4) == "\x81\x05"
                        "be");
  time_point next;
  CHECK(q.w.drop_expired(now + 1h, next).messages == 1);
  CHECK(q.w.drop_key(*make_terms(key("k"), now)).messages == 1);
  CHECK(q.w.drop_oldest({100, 100}).messages == 0);
  CHECK(take(q.w) == "gun");
  CHECK(q.told(0) == written);
  CHECK(q.told(1) == expired);
  CHECK(q.told(2) == overflow);
}

TEST_CASE("a run of frames goes as a whole, or stays") {
  queue q;
  q.push({"a", "b", "c"});
  q.push({"d"});
  const auto gone = q.w.drop_oldest({1, 1});
  CHECK(gone.messages == 3);
  CHECK(gone.bytes == 9);
  CHECK(q.told(0) == overflow);
  CHECK(take(q.w) == "\x81\x01"
                     "d");
}

TEST_CASE("control frames and the Close stay, and keep their places [RFC 6455 5.5]") {
  queue q;
  q.push({"1"});
  q.w.push_raw("\x8a\x01p"s);
  q.push({"2"});
  q.push({"3"});
  q.w.push_close(close_code::normal, "");
  CHECK(q.w.drop_oldest({2, 0}).messages == 2);
  CHECK(take(q.w) == "\x8a\x01p\x81\x01"
                     "3\x88\x02\x03\xe8"s);
  CHECK(q.w.sealed());
}

TEST_CASE("a key takes back what has this key, and nothing else") {
  queue q;
  q.push({"a1"}, key("a"));
  q.push({"b1"}, key("b"));
  q.push({"plain"});
  q.push({"a2"}, key("a"));
  CHECK(q.w.drop_key(*make_terms(key("a"), now)).messages == 2);
  CHECK(q.w.drop_key(*make_terms(key("c"), now)).messages == 0);
  CHECK(q.told(0) == overflow);
  CHECK(q.told(3) == overflow);
  CHECK(take(q.w) == "\x81\x02"
                     "b1\x81\x05plain");
}

TEST_CASE("keys of one tag are told apart") {
  // Tags have 15 bits: among so many keys some share one.
  queue q;
  constexpr int keys = 2'000;
  for (int i = 0; i < keys; ++i) q.push({"x"}, key(std::to_string(i)));
  for (int i = 0; i < keys; ++i)
    CHECK(q.w.drop_key(*make_terms(key(std::to_string(i)), now)).messages == 1);
  CHECK(q.w.empty());
}

TEST_CASE("what has expired goes, the next to expire is named, and no one goes too early") {
  queue q;
  q.push({"1"}, ttl(30ms));
  q.push({"2"});
  q.push({"3"}, ttl(10ms));
  q.push({"4"}, ttl(20ms));
  time_point next;
  CHECK(q.w.drop_expired(now + 9ms, next).messages == 0);
  CHECK(next == now + 10ms);
  CHECK(q.w.drop_expired(now + 20ms, next).messages == 2);
  CHECK(next == now + 30ms);
  CHECK(q.told(0) == nothing);
  CHECK(q.told(2) == expired);
  CHECK(q.told(3) == expired);
  CHECK(q.w.drop_expired(now + 30ms, next).messages == 1);
  CHECK(next == time_point::max());
  CHECK(take(q.w) == "\x81\x01"
                     "2");
}

TEST_CASE("a receipt that is told it was dropped may push, or destroy the wire") {
  auto q = std::make_unique<queue>();
  q->push({"1"});
  q->push({"2"});
  q->asked[0]->then = [&] { CHECK(q->w.push(text_chunk("3"))); };
  CHECK(q->w.drop_oldest({1, 0}).messages == 1);
  CHECK(q->w.queued_bytes() == 6);
  const auto last = q->asked[1];
  last->then = [&] { q.reset(); };
  CHECK(q->w.drop_oldest({1, 0}).messages == 1);
  CHECK(q == nullptr);
  CHECK(last->told == overflow);
}

TEST_CASE("any order of pushing, writing and taking back: what leaves is in order and whole, the "
          "count of bytes is right, and each is told once") {
  for (std::uint32_t seed = 1; seed <= 2'000; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    queue q;
    std::vector<std::string> sent;
    std::string out;
    auto at = now;
    for (int step = 0; step < 60; ++step) {
      time_point next;
      switch (random() % 8) {
      case 0: q.w.drop_oldest({static_cast<std::uint32_t>(random() % 4), random() % 40}); break;
      case 1: q.w.drop_key(*make_terms(key(std::string(1, 'a' + random() % 3)), at)); break;
      case 2:
        at += std::chrono::milliseconds{random() % 5};
        q.w.drop_expired(at, next);
        CHECK(next > at);
        break;
      case 3: out += take(q.w, random() % 60); break;
      default: {
        send_options how;
        if (random() % 2) how = key(std::string(1, 'a' + random() % 3));
        if (random() % 3 == 0) how.ttl = std::chrono::milliseconds{random() % 20};
        const auto text = std::to_string(sent.size()) + std::string(random() % 20, '.');
        sent.push_back(std::string{message::text(text).frame()});
        q.push({text}, how);
      }
      }
      std::array<std::string_view, 64> buffers;
      std::size_t bytes = 0;
      for (std::size_t i = 0, count = q.w.gather(buffers); i < count; ++i)
        bytes += buffers[i].size();
      REQUIRE(bytes == q.w.queued_bytes());
    }
    out += take(q.w);
    std::string expected;
    for (std::size_t i = 0; i < sent.size(); ++i) {
      REQUIRE(q.told(i).size() == 1);
      if (q.told(i) == written) expected += sent[i];
    }
    REQUIRE(out == expected);
  }
}

TEST_SUITE_END();
