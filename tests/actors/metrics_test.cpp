#include <doctest/doctest.h>

#include "tests/actors/harness.hpp"

using namespace fairlead;
using namespace fairlead::test;
using protocol::connection_state;

namespace {

std::uint64_t outcome(const protocol::traffic& t, send_result r) {
  return t.outcomes[static_cast<std::size_t>(r)];
}

/// All loops together.
struct sums {
  explicit sums(harness& h) {
    answers<actors::metrics_snapshot> got;
    h.backbone->take_metrics(1s, got.next());
    h.run();
    REQUIRE(got.once_each());
    now = got.list().front();
    for (const auto& [node, loop] : now.loops) {
      CHECK(node.answered);
      opened += loop.tally.opened;
      for (const auto& [key, n] : loop.tally.ended) ended[key] += n;
      protocol::operator+=(passed, loop.totals);
      queued_messages += loop.queued_messages;
      queued_bytes += loop.queued_bytes;
      closing += loop.tally.closing;
      admission += loop.tally.admission;
    }
  }
  [[nodiscard]] std::uint64_t ends(initiator by, std::string_view code) const {
    std::uint64_t n = 0;
    for (const auto& [key, count] : ended)
      if (key.by == by && key.code == code) n += count;
    return n;
  }
  actors::metrics_snapshot now;
  std::uint64_t opened = 0, queued_messages = 0, queued_bytes = 0;
  std::map<protocol::end_key, std::uint64_t> ended;
  protocol::traffic passed;
  protocol::histogram closing, admission;
};

}  // namespace

TEST_SUITE_BEGIN("actors/metrics");

TEST_CASE(
    "what connections have counted is added up, those that ended included; nothing goes back") {
  harness h{2};
  auto a = h.open({}, 0), b = h.open({}, 1);
  a.link->peer_sends("12345");
  h.run();
  CHECK(h.send(b.handle, "to b") == send_result::written);
  CHECK(h.send(connection_id{0, 999}, "to nobody") == send_result::no_such_connection);
  const sums before{h};
  CHECK(before.passed.messages_in == 1);
  CHECK(before.passed.bytes_in == 5);
  CHECK(outcome(before.passed, send_result::written) == 1);
  CHECK(outcome(before.passed, send_result::no_such_connection) == 1);
  CHECK(before.passed.bytes_written == 6);

  a.handle.close();
  b.link->fails();
  h.run();
  h.peers_answer();
  CHECK(h.backbone->connection_count() == 0);
  const sums after{h};
  CHECK(after.passed.messages_in == 1);
  CHECK(outcome(after.passed, send_result::written) == 1);
  CHECK(after.passed.bytes_written == 6);
  CHECK(after.opened == 2);
}

TEST_CASE("sends that find nobody are counted, whether or not somebody asked: an unknown id, an id "
          "of no loop, an unknown user, one whose behaviour waits") {
  harness h{2, [](auto& o) {
              o.per_user = [](const std::string&) { return std::make_unique<behavior>(); };
            }};
  h.open("ada", 1);
  h.open("bob", 0).link->fails();
  h.run();
  answers<send_result> sent;
  answers<broadcast_summary> summaries;
  const std::string users[] = {"ada", "bob", "nobody"};
  for (const bool asks : {false, true}) {
    h.backbone->send({1, 999}, message::text("x"), asks ? sent.next() : nullptr);
    h.backbone->send({65535, 1}, message::text("x"), asks ? sent.next() : nullptr);
    for (const auto& user : users)
      h.backbone->send_to_user(user, message::text("x"), asks ? summaries.next() : nullptr);
    h.run();
  }
  CHECK(sent.count(send_result::no_such_connection) == 2);
  const sums s{h};
  CHECK(outcome(s.passed, send_result::written) == 2);
  CHECK(outcome(s.passed, send_result::reconnecting) == 2);
  CHECK(outcome(s.passed, send_result::no_such_connection) == 6);
}

TEST_CASE("ends by who was first and why; how long opening and closing took") {
  harness h;
  auto a = h.open(), b = h.open(), c = h.open(), d = h.open();
  a.handle.close(close_code{4711});
  b.link->peer_closes(close_code::going_away);
  c.link->violates(close_code::message_too_big, "too big");
  d.link->fails();
  h.run();
  h.advance(200ms);
  for (auto* one : {&a, &b, &c}) one->link->closing_handshake_done();
  h.run();
  const sums s{h};
  CHECK(s.ends(initiator::application, "4xxx") == 1);
  CHECK(s.ends(initiator::peer, "1001") == 1);
  CHECK(s.ends(initiator::violation, "1009") == 1);
  CHECK(s.ends(initiator::transport, "1006") == 1);
  CHECK(s.closing.count() == 3);  // d had no Close frame
  CHECK(s.closing.sum() >= 600ms);
  CHECK(s.closing.sum() <= 660ms);
  CHECK(s.admission.count() == 4);
}

TEST_CASE("what is queued, what waits in mailboxes, who is in which state") {
  harness h{2};
  auto slow = h.open({}, 0);
  h.open("ada", 1);
  slow.link->room = 0;
  slow.handle.send(message::text("0123456789"));
  h.run();
  const sums s{h};
  CHECK(s.queued_messages == 1);
  CHECK(s.queued_bytes == 12);
  CHECK(s.now.loops[0].node.by_state[static_cast<std::size_t>(connection_state::open)] == 1);
  CHECK(s.now.loops[1].node.users == 1);
  CHECK(s.now.supervisor.answered);
}

TEST_CASE("many connections are counted in several turns, and each of them once") {
  harness h;
  constexpr std::size_t many = 1'300;
  for (std::size_t i = 0; i < many; ++i) h.open();
  h.backbone->broadcast(message::text("x"), {});
  h.run();
  const sums s{h};
  CHECK(outcome(s.passed, send_result::written) == many);
  CHECK(s.opened == many);
}

TEST_CASE(
    "a connection that ends while others are being counted is not lost and not counted twice") {
  for (std::size_t turns = 0; turns < 12; ++turns) {
    harness h;
    constexpr std::size_t many = 1'300;
    for (std::size_t i = 0; i < many; ++i) h.open();
    h.backbone->broadcast(message::text("x"), {});
    h.run();
    answers<actors::metrics_snapshot> got;
    h.backbone->take_metrics(1s, got.next());
    for (std::size_t i = 0; i < turns; ++i) {
      h.side->turn();
      h.loops[0]->turn();
    }
    for (auto& c : h.clients) c.link->fails();
    h.run();
    REQUIRE(got.once_each());
    CHECK(outcome(got.list()[0].loops[0].counts.totals, send_result::written) == many);
  }
}

TEST_CASE(
    "a loop that does not answer is told as such, with how long it has been silent at least") {
  harness h{2};
  h.open({}, 1);
  answers<actors::metrics_snapshot> got;
  h.backbone->take_metrics(1s, got.next());
  for (int i = 0; i < 200; ++i) {  // loop 1 never turns
    h.side->run();
    h.loops[0]->run();
    h.side->advance(10ms);
  }
  REQUIRE(got.once_each());
  CHECK(got.list()[0].loops[0].node.answered);
  CHECK_FALSE(got.list()[0].loops[1].node.answered);
}

TEST_SUITE_END();
