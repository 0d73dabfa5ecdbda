#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "protocol/frame.hpp"
#include "protocol/wire.hpp"
#include "tests/protocol/recording_receipt.hpp"

using namespace fairlead;
using namespace fairlead::protocol;
using namespace fairlead::protocol::test;
using namespace std::string_literals;
using results = std::vector<send_result>;

namespace {

/// Everything that is queued, without taking it.
std::string queued(const wire& w) {
  std::array<std::string_view, 64> buffers;
  std::string bytes;
  for (std::size_t i = 0, count = w.gather(buffers); i < count; ++i) bytes += buffers[i];
  return bytes;
}

/// What a kernel with room for `most` bytes takes.
std::string take(wire& w, std::size_t most = 1'000'000) {
  const std::string bytes = queued(w).substr(0, most);
  w.consume(bytes.size());
  return bytes;
}

void after_handshake(wire& w) {
  w.push_raw("HTTP 101");
  w.handshake_done();
  take(w);
}

const std::string close_1000 = "\x88\x05\x03\xe8"
                               "bye";

}  // namespace

TEST_SUITE_BEGIN("protocol/wire");

TEST_CASE("an idle wire is small") { CHECK(sizeof(wire) <= 100); }

TEST_CASE("frames leave in the order in which they came, gathered") {
  wire w;
  after_handshake(w);
  CHECK(w.empty());
  for (const auto text : {"one", "two", "three"}) CHECK(w.push(text_chunk(text)));
  CHECK(w.queued_bytes() == 5 + 5 + 7);
  std::array<std::string_view, 2> two;
  REQUIRE(w.gather(two) == 2);
  CHECK(two[0] == "\x81\x03one");
  CHECK(two[1] == "\x81\x03two");
  CHECK(w.gather({}) == 0);
  CHECK(take(w) == "\x81\x03one\x81\x03two\x81\x05three");
  CHECK(w.empty());
  CHECK(w.queued_bytes() == 0);
}

TEST_CASE("a partly written frame goes on where it stopped, before anything else") {
  wire w;
  after_handshake(w);
  REQUIRE(w.push(text_chunk("first")));
  CHECK(take(w, 3) == "\x81\x05"
                      "f");
  REQUIRE(w.push(text_chunk("second")));
  w.push_raw("\x8a\x00"s);
  w.push_close(close_code::normal, "bye");
  CHECK(queued(w) == "irst\x81\x06second\x8a\x00"s + close_1000);
  CHECK(w.queued_bytes() == queued(w).size());
}

TEST_CASE("progress counts data frames that are written whole, and no control frames") {
  wire w;
  after_handshake(w);
  REQUIRE(w.push(text_chunk("abc")));
  w.push_raw("\x89\x00"s);
  REQUIRE(w.push(text_chunk("defgh")));
  const auto check = [&](std::size_t n, std::uint32_t messages, std::size_t bytes) {
    const auto made = w.consume(n);
    CHECK(made.messages == messages);
    CHECK(made.bytes == bytes);
  };
  check(4, 0, 0);
  check(2, 1, 5);  // the first frame's end and half a ping
  check(0, 0, 0);
  check(8, 1, 7);
  CHECK(w.empty());
}

TEST_CASE("a run of frames counts, and settles its one receipt, when its last byte is written") {
  wire w;
  after_handshake(w);
  const auto asked = std::make_shared<recording_receipt>();
  REQUIRE(w.push(run_of({"ab", "cd", "ef"}, asked)));
  CHECK(w.consume(11).messages == 0);
  CHECK(asked->told.empty());
  const auto made = w.consume(1);
  CHECK(made.messages == 3);
  CHECK(made.bytes == 12);
  CHECK(asked->told == results{send_result::written});
}

TEST_CASE("a queue that grows, wraps and drains keeps its order") {
  wire w;
  after_handshake(w);
  std::string expected, taken;
  for (int i = 0; i < 300; ++i) {
    const auto m = message::text(std::to_string(i));
    expected += m.frame();
    REQUIRE(w.push(as_chunk(m)));
    if (i % 3 == 0) taken += take(w, 7);
    if (i == 150)
      while (!w.empty()) taken += take(w, 100);
  }
  while (!w.empty()) taken += take(w);
  CHECK(taken == expected);
}

// --- the seal -----------------------------------------------------------------------------------------------------

TEST_CASE("our Close goes behind what is queued and seals [RFC 6455 5.5.1]") {
  wire w;
  after_handshake(w);
  REQUIRE(w.push(text_chunk("last")));
  w.push_close(close_code::normal, "bye");
  CHECK(w.sealed());
  auto [late, asked] = with_receipt("late");
  CHECK_FALSE(w.push(late));
  CHECK_FALSE(w.push(std::move(late)));
  CHECK(late.asked == asked);  // refused: still the caller's to settle
  CHECK(asked->told.empty());
  CHECK(take(w) == "\x81\x04last" + close_1000);
}

TEST_CASE("a Close that the transport wrote seals as well; after it not even a pong or a second "
          "Close enters") {
  wire w;
  after_handshake(w);
  w.push_raw("\x8a\x02hi");
  CHECK_FALSE(w.sealed());
  w.push_raw(close_1000);
  CHECK(w.sealed());
  w.push_raw("\x8a\x02no");
  w.push_raw("\x88\x00"s);
  w.push_close(close_code::going_away, "too late");
  CHECK_FALSE(w.push(text_chunk("no")));
  CHECK(take(w) == "\x8a\x02hi" + close_1000);
  CHECK(w.sealed());  // for ever
}

TEST_CASE("HTTP never seals, whatever its bytes look like") {
  wire w;
  w.push_raw("\x88 not a frame");
  w.push_raw("H");  // 0x48: its low bits are those of a Close
  CHECK_FALSE(w.sealed());
  w.handshake_done();
  CHECK_FALSE(w.sealed());
  CHECK(w.push(text_chunk("fine")));
}

TEST_CASE("a Close asked for during the handshake seals at once and follows the 101 response") {
  wire w;
  w.push_close(close_code::normal, "bye");
  w.push_close(close_code::going_away, "the first stands");
  CHECK(w.sealed());
  CHECK(w.empty());
  CHECK(w.queued_bytes() == 0);
  CHECK_FALSE(w.push(text_chunk("no")));
  w.push_raw("HTTP 101");
  CHECK(queued(w) == "HTTP 101");
  w.handshake_done();
  w.handshake_done();
  w.push_raw("\x8a\x00"s);
  CHECK(take(w) == "HTTP 101" + close_1000);
}

TEST_CASE("a Close without a code has an empty body") {
  wire w;
  after_handshake(w);
  w.push_close(close_code::no_status, "");
  CHECK(take(w) == "\x88\x00"s);
}

// --- receipts -----------------------------------------------------------------------------------------------------

TEST_CASE("a receipt is settled once: written when its last byte is taken") {
  wire w;
  after_handshake(w);
  auto [first, asked_first] = with_receipt("first");
  auto [second, asked_second] = with_receipt("second");
  REQUIRE(w.push(first));
  REQUIRE(w.push(second));
  w.consume(6);
  CHECK(asked_first->told.empty());
  w.consume(1);
  CHECK(asked_first->told == results{send_result::written});
  w.consume(8);
  w.abandon();
  CHECK(asked_first->told == results{send_result::written});
  CHECK(asked_second->told == results{send_result::written});
}

TEST_CASE("abandoning settles what is left, a half-written frame as well, and seals") {
  wire w;
  after_handshake(w);
  auto [half, asked_half] = with_receipt("half");
  auto [whole, asked_whole] = with_receipt("whole");
  REQUIRE(w.push(half));
  REQUIRE(w.push(text_chunk("nobody asks")));
  REQUIRE(w.push(whole));
  w.consume(3);
  w.abandon(send_result::closed);
  CHECK(asked_half->told == results{send_result::closed});
  CHECK(asked_whole->told == results{send_result::closed});
  CHECK(w.sealed());
  CHECK(w.empty());
  CHECK(w.queued_bytes() == 0);
  w.push_raw("late");
  w.push_close(close_code::normal, "");
  w.handshake_done();
  CHECK(w.empty());
}

TEST_CASE("abandoning during the handshake drops the Close that waits") {
  wire w;
  w.push_close(close_code::normal, "bye");
  w.abandon();
  w.handshake_done();
  CHECK(w.empty());
}

TEST_CASE("destroying is abandoning") {
  auto [c, asked] = with_receipt("never");
  {
    wire w;
    after_handshake(w);
    REQUIRE(w.push(c));
  }
  CHECK(asked->told == results{send_result::failed});
}

TEST_CASE("a receipt may push, consume and close in its turn") {
  wire w;
  after_handshake(w);
  auto [first, asked_first] = with_receipt("1");
  auto [second, asked_second] = with_receipt("2");
  asked_first->then = [&w] {
    CHECK(w.empty());  // both are gone before anyone is told
    CHECK(w.push(text_chunk("3")));
    CHECK(take(w) == "\x81\x01"
                     "3");
    w.push_close(close_code::normal, "bye");
  };
  REQUIRE(w.push(first));
  REQUIRE(w.push(second));
  CHECK(w.consume(6).messages == 2);
  CHECK(asked_first->told == results{send_result::written});
  CHECK(asked_second->told == results{send_result::written});
  CHECK(take(w) == close_1000);
}

TEST_CASE("a receipt may destroy the wire, when written and when abandoned") {
  for (const bool abandoned : {false, true}) {
    CAPTURE(abandoned);
    auto w = std::make_unique<wire>();
    after_handshake(*w);
    std::vector<std::shared_ptr<recording_receipt>> all;
    for (int i = 0; i < 10; ++i) {
      auto [c, asked] = with_receipt("x");
      REQUIRE(w->push(c));
      all.push_back(asked);
    }
    all.front()->then = [&w] { w.reset(); };
    // Eight of ten are written; the other two are settled by the destruction.
    wire& alive = *w;
    if (abandoned)
      alive.abandon();
    else
      CHECK(alive.consume(8 * 3).messages == 8);
    CHECK(w == nullptr);
    for (std::size_t i = 0; i < all.size(); ++i) {
      CHECK(all[i]->told ==
            results{abandoned || i >= 8 ? send_result::failed : send_result::written});
    }
  }
}

TEST_SUITE_END();
