#include <doctest/doctest.h>

#include "tests/actors/harness.hpp"

using namespace fairlead;
using namespace fairlead::test;

namespace {

using texts = std::vector<std::string>;

texts numbered(int from, int to) {
  texts t;
  for (int i = from; i <= to; ++i) t.push_back(std::to_string(i));
  return t;
}

/// Broadcasts that nobody asks the outcome of, all before any loop turns.
void broadcast_all(harness& h, const texts& what) {
  for (const auto& t : what) CHECK(h.backbone->broadcast(message::text(t), {}));
}

std::uint64_t outcomes(harness& h, const harness::client& c, send_result r) {
  return h.snapshot(c).counts.outcomes[static_cast<std::size_t>(r)];
}

}  // namespace

TEST_SUITE_BEGIN("actors/broadcast");

// --- who gets it ----------------------------------------------------------------------------------------------------

TEST_CASE("a broadcast reaches every open connection of every loop") {
  harness h{3};
  for (std::size_t i = 0; i < 9; ++i) h.open({}, i % 3);
  CHECK(h.backbone->broadcast(message::text("all"), {}));
  h.run();
  for (const auto& c : h.clients) CHECK(c.texts() == texts{"all"});
}

TEST_CASE("a broadcast with nobody there has an empty summary") {
  harness h{2};
  CHECK(h.broadcast("nobody") == broadcast_summary{});
}

TEST_CASE(
    "exceptions: those and no others are left out, on whatever loop; unknown ids change nothing") {
  harness h{2};
  for (std::size_t i = 0; i < 6; ++i) h.open({}, i % 2);
  const auto& c = h.clients;
  const auto s = h.broadcast("some", {c[4].id(), c[1].id(), {0, 4711}, {9, 1}});
  CHECK(s.count(send_result::written) == 4);
  CHECK(s.addressed() == 4);
  for (std::size_t i = 0; i < 6; ++i)
    CHECK(c[i].texts() == (i == 4 || i == 1 ? texts{} : texts{"some"}));
}

TEST_CASE("a handler may broadcast, the sender included") {
  harness* self = nullptr;
  harness h{2, [&](actors::backbone_options& o) {
              o.on_message = [&](const connection&, const message& m) {
                self->backbone->broadcast(m, {});
              };
            }};
  self = &h;
  auto a = h.open({}, 0), b = h.open({}, 1);
  a.link->peer_sends("from a");
  h.run();
  CHECK(a.texts() == texts{"from a"});
  CHECK(b.texts() == texts{"from a"});
}

// --- the summary ----------------------------------------------------------------------------------------------------

TEST_CASE("the summary counts each outcome, and adds up to the connections addressed") {
  harness h{2, [](auto& o) {
              o.limits.max_queued_messages = 2;
              o.limits.slow_consumers = slow_policy::drop_newest;
            }};
  auto good = h.open({}, 0), also_good = h.open({}, 1), full = h.open({}, 0), slow = h.open({}, 1),
       leaving = h.open({}, 0), breaking = h.open({}, 1);
  h.connecting();  // not admitted: not addressed
  h.closed_one();  // gone
  h.failed_one();  // gone
  for (auto& c : {full, slow, breaking}) c.link->room = 0;
  full.handle.send(message::text("1"));
  full.handle.send(message::text("2"));
  leaving.handle.close();
  h.run();

  answers<broadcast_summary> got;
  h.backbone->broadcast(message::text("x"), {}, got.next());
  h.run();
  CHECK(got.list().empty());  // two of them are not known yet
  slow.link->kernel_takes(100);
  breaking.link->fails();
  h.run();
  REQUIRE(got.once_each());
  const auto s = got.list()[0];
  CHECK(s.count(send_result::written) == 3);
  CHECK(s.count(send_result::overflow) == 1);
  CHECK(s.count(send_result::closing) == 1);
  CHECK(s.count(send_result::failed) == 1);
  CHECK(s.addressed() == 6);
  CHECK(s.count(send_result::written) + s.refused() == s.addressed());
}

TEST_CASE(
    "a connection whose actor dies with the broadcast in its mailbox was addressed all the same") {
  harness h;
  auto a = h.open(), b = h.open();
  b.link->room = 0;
  answers<broadcast_summary> got;
  h.backbone->broadcast(message::text("x"), {}, got.next());
  // Turn by turn, so that the link breaks at a different point each time.
  SUBCASE("before the fan-out") { b.link->fails(); }
  SUBCASE("later") {
    for (int i = 0; i < 4; ++i) h.loops[0]->turn();
    b.link->fails();
  }
  h.run();
  REQUIRE(got.once_each());
  const auto s = got.list()[0];
  CHECK(s.count(send_result::written) == 1);
  CHECK(s.addressed() <= 2);
  CHECK(a.texts() == texts{"x"});
}

// --- order and folding ----------------------------------------------------------------------------------------------

TEST_CASE("one sender's broadcasts arrive in its order everywhere, whether it asked or not") {
  harness h{2};
  for (std::size_t i = 0; i < 4; ++i) h.open({}, i % 2);
  answers<broadcast_summary> got;
  const auto wanted = numbered(1, 50);
  for (const auto& t : wanted) {
    if (std::stoi(t) % 3 == 0)
      h.backbone->broadcast(message::text(t), {}, got.next());
    else
      h.backbone->broadcast(message::text(t), {});
    if (std::stoi(t) % 7 == 0) h.loops[0]->turn();
  }
  h.run();
  for (const auto& c : h.clients) CHECK(c.texts() == wanted);
  CHECK(got.once_each());
  for (const auto& s : got.list()) CHECK(s.count(send_result::written) == 4);
}

TEST_CASE("a loop sends so many broadcasts at once; sockets have their turn in between") {
  constexpr std::size_t members = 200, broadcasts = 400;
  harness h;
  for (std::size_t i = 0; i < members; ++i) h.open();
  for (const auto& t : numbered(1, broadcasts))  // on terms of their own: not folded
    h.backbone->broadcast(message::text(t), {}, {.ttl = 1min}, {});
  const auto& sent = h.clients.front().link->sent;
  std::size_t most = 0;
  for (auto before = sent.size(); h.loops[0]->turn(); before = sent.size())
    most = std::max(most, frames_in(sent.substr(before)).size());
  CHECK(most * members >= 32'000);
  CHECK(most * members <= 33'000);
  for (const auto& c : h.clients) CHECK(c.texts() == numbered(1, broadcasts));
}

TEST_CASE("folding: broadcasts that wait together become one flush for each connection") {
  harness h{2};
  auto a = h.open({}, 0), b = h.open({}, 1);
  const auto before = a.link->flushes, b_before = b.link->flushes;
  broadcast_all(h, numbered(1, 8));
  h.run();
  CHECK(a.texts() == numbered(1, 8));
  CHECK(b.texts() == numbered(1, 8));
  CHECK(a.link->flushes == before + 1);
  CHECK(b.link->flushes == b_before + 1);
  CHECK(outcomes(h, a, send_result::written) == 8);
}

TEST_CASE("folding: who is excepted from some of them gets the others, in order and in one flush") {
  harness h;
  auto a = h.open(), b = h.open(), c = h.open();
  const auto before = b.link->flushes;
  h.backbone->broadcast(message::text("1"), {});
  h.backbone->broadcast(message::text("2"), {b.id()});
  h.backbone->broadcast(message::text("3"), {b.id(), c.id()});
  h.backbone->broadcast(message::text("4"), {});
  h.run();
  CHECK(a.texts() == texts{"1", "2", "3", "4"});
  CHECK(b.texts() == texts{"1", "4"});
  CHECK(c.texts() == texts{"1", "2", "4"});
  CHECK(b.link->flushes == before + 1);
}

TEST_CASE("folding: who has no room for the whole run gets what fits, one by one") {
  harness h{[](auto& o) {
    o.limits.max_queued_messages = 4;
    o.limits.slow_consumers = slow_policy::drop_newest;
  }};
  auto quick = h.open(), slow = h.open();
  slow.link->room = 0;
  slow.handle.send(message::text("first"));
  h.run();
  broadcast_all(h, numbered(1, 4));
  h.run();
  CHECK(quick.texts() == numbered(1, 4));
  CHECK(outcomes(h, slow, send_result::overflow) == 1);
  CHECK(slow.handle.core() != nullptr);
  slow.link->kernel_takes(1000);
  h.run();
  CHECK(slow.texts() == texts{"first", "1", "2", "3"});
  CHECK(h.log->count("send.overflow") == 1);
}

TEST_CASE("a compressed form is made once for all loops, and goes with the plain frames, folded or "
          "not") {
  texts made;
  harness h{2, [&](auto& o) {
              o.limits.max_send_size = 100;
              o.compress = [&](const message& m) {
                made.emplace_back(m.view());
                const auto form = message::text("[" + made.back().substr(0, 1));
                return protocol::compressed_form{form.storage(), 4}.beside(m);
              };
            }};
  auto a = h.open({}, 0), b = h.open({}, 1), plain = h.open({}, 0);
  a.link->compresses_padding = b.link->compresses_padding = true;
  broadcast_all(h, {"1st", "2nd", "3rd"});
  h.backbone->broadcast(message::text("4th"), {a.id()});
  h.run();
  broadcast_all(h, {"5th", std::string(101, 'x')});  // too large: sent to nobody
  h.run();
  CHECK(h.broadcast("6th").count(send_result::written) == 3);
  CHECK(h.backbone->broadcast(message::text("7th"), {}, {.ttl = 1h}, {}));
  h.run();
  const texts all{"1st", "2nd", "3rd", "4th", "5th", "6th", "7th"};
  CHECK(made == all);
  CHECK(plain.texts() == all);
  CHECK(a.texts() == texts{"[1", "[2", "[3", "[5", "[6", "[7"});
  CHECK(b.texts() == texts{"[1", "[2", "[3", "[4", "[5", "[6", "[7"});
}

TEST_CASE("folding: more than a run holds arrives whole and in order") {
  harness h;
  auto a = h.open();
  texts wanted;
  for (char c = 'a'; c < 'h'; ++c) wanted.emplace_back(100'000, c);
  broadcast_all(h, wanted);
  h.run();
  CHECK(a.texts() == wanted);
}

TEST_CASE("folding: a message over the limit is refused, and those around it are not") {
  harness h{[](auto& o) { o.limits.max_send_size = 10; }};
  auto a = h.open();
  broadcast_all(h, {"1", "2", std::string(11, 'x'), "3", std::string(10, 'y')});
  h.run();
  CHECK(a.texts() == texts{"1", "2", "3", std::string(10, 'y')});
  CHECK(outcomes(h, a, send_result::too_large) == 1);
  CHECK(h.broadcast(std::string(11, 'x')).count(send_result::too_large) == 1);
  CHECK(h.log->count("send.too_large") == 1);  // a bug of the caller's is told once
}

TEST_CASE("one that never reads holds up nobody, and its memory stays bounded") {
  harness h{[](auto& o) {
    o.limits.max_queued_bytes = 1000;
    o.limits.slow_consumers = slow_policy::drop_newest;
  }};
  auto quick = h.open(), stuck = h.open();
  stuck.link->room = 0;
  for (int round = 0; round < 50; ++round) {
    broadcast_all(h, {std::string(100, 'x'), std::string(100, 'y')});
    h.run();
    CHECK(stuck.link->queued_bytes() <= 1000);
  }
  CHECK(quick.texts().size() == 100);
  const auto written_later = stuck.link->queued_bytes() / 102;
  CHECK(outcomes(h, stuck, send_result::overflow) == 100 - written_later);
}

// --- bounds ---------------------------------------------------------------------------------------------------------

TEST_CASE("the bound on pending broadcasts: refused at once, and all of it counted as overflow") {
  harness h{2, [](auto& o) { o.limits.max_pending_broadcasts = 3; }};
  auto a = h.open({}, 0), b = h.open({}, 1), c = h.open({}, 1);
  for (int round = 0; round < 5; ++round) {  // every place is given back
    broadcast_all(h, numbered(1, 3));
    CHECK_FALSE(h.backbone->broadcast(message::text("one too many"), {}));
    answers<broadcast_summary> got;
    h.backbone->broadcast(message::text("one too many"), {a.id()}, got.next());
    REQUIRE(got.once_each());  // at once
    CHECK(got.list()[0].count(send_result::overflow) == 2);
    CHECK(got.list()[0].addressed() == 2);
    h.run();
  }
  CHECK(a.texts().size() == 15);
  CHECK(b.texts() == c.texts());
}

TEST_CASE(
    "refused at once, with exceptions: ids that cannot be there, or come twice, take away nobody, "
    "and as long as somebody is connected it is no summary of nobody") {
  harness h{2, [](auto& o) { o.limits.max_pending_broadcasts = 1; }};
  const auto gone = h.closed_one().id();
  auto a = h.open({}, 0), b = h.open({}, 1);
  broadcast_all(h, {"the one that may wait"});
  const auto refused = [&](std::vector<connection_id> except) {
    answers<broadcast_summary> got;
    h.backbone->broadcast(message::text("one too many"), std::move(except), got.next());
    REQUIRE(got.once_each());
    CHECK(got.list()[0].addressed() == got.list()[0].count(send_result::overflow));
    return got.list()[0].addressed();
  };
  CHECK(refused({a.id(), a.id(), a.id()}) == 1);
  CHECK(refused({{0, 99'999}, {1, 99'999}, {9, 1}, {0, 0}}) == 2);
  CHECK(refused({b.id(), {9, b.id().serial}}) == 1);
  CHECK(refused({gone}) >= 1);
  CHECK(refused({gone, a.id()}) >= 1);
  h.peers_answer();
}

TEST_CASE("the bound on the bytes of pending broadcasts") {
  harness h{[](auto& o) { o.limits.max_pending_broadcast_bytes = 250; }};
  h.open();
  const auto hundred = message::text(std::string(98, 'x'));
  for (int round = 0; round < 3; ++round) {
    CHECK(h.backbone->broadcast(hundred, {}));
    CHECK(h.backbone->broadcast(hundred, {}));
    CHECK_FALSE(h.backbone->broadcast(hundred, {}));
    h.run();
  }
}

TEST_CASE("sends by id and by user are under the same bound until a roster has handed them on") {
  harness h{[](auto& o) { o.limits.max_pending_broadcasts = 2; }};
  auto a = h.open("ada");
  for (int round = 0; round < 3; ++round) {
    answers<send_result> sent;
    answers<broadcast_summary> to_user;
    h.backbone->send(a.id(), message::text("x"), sent.next());
    h.backbone->send_to_user("ada", message::text("x"), to_user.next());
    h.backbone->send(a.id(), message::text("x"), sent.next());
    h.backbone->send_to_user("ada", message::text("x"), to_user.next());
    h.run();
    CHECK(sent.list() == std::vector{send_result::written, send_result::overflow});
    REQUIRE(to_user.once_each());
    CHECK(to_user.list()[0].count(send_result::written) == 1);
    CHECK(to_user.list()[1].count(send_result::overflow) == 1);
  }
}

TEST_SUITE_END();
