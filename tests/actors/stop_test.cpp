#include <doctest/doctest.h>

#include "actors/caf.hpp"
#include "actors/caf_access.hpp"
#include "tests/actors/harness.hpp"
#include "tests/actors/scribe.hpp"

using namespace fairlead;
using namespace fairlead::test;

namespace {

using texts = std::vector<std::string>;

void begin_stop(harness& h, answers<shutdown_summary>& done, std::chrono::milliseconds in = 10s) {
  h.backbone->stop(in, close_code::going_away, "server shutting down", done.next());
}

bool operator==(const shutdown_summary& a, const shutdown_summary& b) {
  return a.connections == b.connections && a.closed == b.closed && a.aborted == b.aborted &&
         a.took == b.took;
}

}  // namespace

TEST_SUITE_BEGIN("actors/stop");

// --- everyone is closed ---------------------------------------------------------------------------------------------

TEST_CASE(
    "everyone is closed with the code and reason, and what was sent before is written before") {
  harness h{2};
  auto a = h.open({}, 0), b = h.open({}, 1);
  a.handle.send(message::text("sent"));
  h.backbone->broadcast(message::text("broadcast"), {});
  const auto s = h.stop();
  for (auto& c : {a, b}) {
    const auto frames = frames_in(c.link->sent);
    REQUIRE(frames.size() >= 2);
    CHECK(frames.back().payload == "\x03\xe9"
                                   "server shutting down");
    CHECK(ends_at_its_close(c.link->sent));
  }
  CHECK(b.texts() == texts{"broadcast"});
  CHECK(a.texts().size() == 2);
  CHECK(s.connections == 2);
  CHECK(s.closed == 2);
  CHECK(s.aborted == 0);
  for (const auto& [id, info] : h.closed) CHECK(info.by == initiator::shutdown);
}

TEST_CASE("a deadline beyond any clock leaves everyone the time to answer; one before any is now") {
  using std::chrono::milliseconds;
  harness patient;
  auto a = patient.open();
  answers<shutdown_summary> done;
  begin_stop(patient, done, milliseconds::max());
  patient.run();
  patient.advance(1s);
  CHECK_FALSE(a.link->aborted);
  patient.peers_answer();
  REQUIRE(done.once_each());
  CHECK(done.list()[0].closed == 1);
  CHECK(done.list()[0].cut == 0);

  harness hasty;
  auto b = hasty.open();
  begin_stop(hasty, done, milliseconds::min());
  hasty.run();
  hasty.advance(20ms);
  CHECK(b.link->aborted);
  CHECK(done.once_each());
}

TEST_CASE("broadcasts keep their order with a stop: those before it are written, those after it "
          "are closing") {
  harness h{2};
  auto a = h.open({}, 0), b = h.open({}, 1);
  answers<broadcast_summary> before, after;
  answers<shutdown_summary> done;
  h.backbone->broadcast(message::text("1"), {}, before.next());
  h.backbone->broadcast(message::text("2"), {});
  begin_stop(h, done);
  h.backbone->broadcast(message::text("3"), {}, after.next());
  h.run();
  CHECK(a.texts() == texts{"1", "2"});
  CHECK(b.texts() == texts{"1", "2"});
  REQUIRE(before.once_each());
  CHECK(before.list()[0].count(send_result::written) == 2);
  REQUIRE(after.once_each());
  CHECK(after.list()[0].count(send_result::closing) == 2);
  h.peers_answer();
  CHECK(done.once_each());
}

TEST_CASE("with nobody there a stop is done at once") {
  harness h{3};
  const auto s = h.stop();
  CHECK(s.connections == 0);
  CHECK(s.took == 0ms);
}

TEST_CASE("the deadline aborts the rest, and the summary adds up") {
  harness h{2};
  auto polite = h.open({}, 0), silent = h.open({}, 1), young = h.connecting({}, 0),
       stuck = h.open({}, 1), breaking = h.open({}, 0);
  stuck.link->room = 0;
  answers<shutdown_summary> done;
  begin_stop(h, done, 2s);
  h.run();
  polite.link->closing_handshake_done();
  breaking.link->fails();
  h.advance(1990ms);
  CHECK(done.list().empty());
  h.advance(30ms);
  REQUIRE(done.once_each());
  const auto s = done.list()[0];
  CHECK(s.connections == 5);
  CHECK(s.closed == 1);
  CHECK(s.aborted == 4);
  CHECK(s.took >= 2s);
  CHECK(s.took <= 2020ms);
  for (auto& c : {silent, young, stuck}) CHECK(c.link->aborted);
  CHECK(h.log->count("server.stop_deadline", "connections=3") == 1);
}

TEST_CASE(
    "at the deadline nothing is waited for that is before it, and broadcasts address nobody") {
  harness h;
  auto silent = h.open();
  answers<shutdown_summary> done;
  begin_stop(h, done, 1s);
  h.run();
  h.loops[0]->pass(1100ms);
  h.loops[0]->tick();  // the deadline is on its way
  answers<send_result> sends;
  for (int i = 0; i < 4'000; ++i)
    silent.handle.send(message::text("x"), [&, done = sends.next()](send_result r) {
      h.loops[0]->pass(1ms);  // so long it takes
      done(r);
    });
  answers<broadcast_summary> broadcasts;
  for (int i = 0; i < 100; ++i) h.backbone->broadcast(message::text("x"), {}, broadcasts.next());
  h.run();
  CHECK(silent.link->aborted);
  CHECK(done.once_each());
  CHECK(sends.once_each());
  CHECK(sends.count(send_result::closing) <= 512);  // those of a run or two
  CHECK(broadcasts.once_each());
  for (const auto& s : broadcasts.list()) CHECK(s.addressed() == 0);
}

TEST_CASE("a deadline of nothing aborts everyone, and closes what can be closed") {
  harness h;
  auto a = h.open();
  const auto s = h.stop(0ms, false);
  CHECK(s.aborted == 1);
  CHECK(close_code_in(a.link->sent) == close_code::going_away);
}

// --- newcomers ------------------------------------------------------------------------------------------------------

TEST_CASE("once a stop has begun nobody connects") {
  harness h;
  auto a = h.open();
  answers<shutdown_summary> done;
  begin_stop(h, done);
  h.run();
  auto link = std::make_shared<fake_link>();
  CHECK_FALSE(h.backbone->connect(0, link, {"p", {}, "/"}));
  CHECK_FALSE(link->has_observer());
  CHECK(link.use_count() == 1);
  h.peers_answer();
  CHECK(done.once_each());
}

TEST_CASE("who connects while the stop is on its way is closed too, and counted once") {
  // However the loops happen to turn: the newcomer's messages come before, between and after those of the stop.
  for (std::size_t turns = 0; turns < 12; ++turns) {
    CAPTURE(turns);
    harness h{2};
    h.open({}, 0);
    answers<shutdown_summary> done;
    begin_stop(h, done, 1s);
    for (std::size_t i = 0; i < turns; ++i) h.loops[i % 2]->turn();
    auto link = std::make_shared<fake_link>();
    const auto c = h.backbone->connect(1, link, {"p", {}, "/"});
    if (c) h.clients.push_back({c, link});
    link->upgrade();
    h.run();
    h.peers_answer();
    h.advance(1100ms);
    REQUIRE(done.once_each());
    const auto s = done.list()[0];
    CHECK(s.connections == (c ? 2 : 1));
    CHECK(s.closed == s.connections);
    CHECK(h.backbone->connection_count() == 0);
    CHECK(h.opened.size() == 1);
  }
}

TEST_CASE("a newcomer that the deadline overtakes is aborted, not waited for") {
  harness h{2};
  answers<shutdown_summary> done;
  begin_stop(h, done, 0ms);
  h.loops[0]->run();
  h.loops[0]->advance(20ms);  // the deadline, before loop 1 has heard of anything
  auto link = std::make_shared<fake_link>();
  REQUIRE(h.backbone->connect(1, link, {"p", {}, "/"}));
  h.run();
  CHECK(link->aborted);
  REQUIRE(done.once_each());
  CHECK(done.list()[0].aborted == 1);
}

// --- what is asked of it at the end ---------------------------------------------------------------------------------

TEST_CASE("stopped twice, or after the end: each caller is answered once, with the same summary") {
  harness h;
  h.open();
  answers<shutdown_summary> done;
  begin_stop(h, done);
  begin_stop(h, done, 1ms);
  h.run();
  h.advance(1s);
  CHECK(done.list().empty());  // the first deadline stands
  h.peers_answer();
  begin_stop(h, done);
  h.run();
  REQUIRE(done.once_each());
  CHECK(done.list()[0].closed == 1);
  CHECK(done.list()[0] == done.list()[1]);
  CHECK(done.list()[0] == done.list()[2]);
  h.backbone->stop(1s, close_code::going_away, {}, {});  // nobody wants to know
}

TEST_CASE("behaviors end with their connections, and those that linger do not hold up a stop") {
  scribe_book per_user, per_connection;
  harness h{2, [&](auto& o) {
              o.per_user = per_user.per_user();
              o.per_connection = per_connection.per_connection();
            }};
  h.open("ada", 0).link->fails();
  h.run();
  h.open("bob", 1);
  CHECK(per_user.alive == 2);
  const auto s = h.stop();
  CHECK(s.took == 0ms);
  CHECK(per_user.alive == 0);
  CHECK(per_connection.alive == 0);
  CHECK(per_user.lines["bob"] == texts{"opened", "closed 1001"});
}

TEST_CASE("when a stop is done the loops may stop: nothing that matters is left on them") {
  scribe_book book;
  harness h{3, [&](auto& o) {
              o.per_user = book.per_user();
              o.per_connection = book.per_connection();
            }};
  for (std::size_t i = 0; i < 6; ++i) h.open("user" + std::to_string(i), i % 3);
  answers<server_snapshot> asked;
  h.backbone->take_connections(60s, asked.next());
  bool done = false;
  h.backbone->stop(1s, close_code::going_away, {}, [&](shutdown_summary) {
    done = true;
    for (auto& l : h.loops) l->stop();
    h.side->stop();
  });
  h.run();
  h.peers_answer();
  REQUIRE(done);
  h.run();  // what was posted before
  CHECK(asked.once_each());
  h.backbone.reset();  // would wait for ever for an actor that is left
  CHECK(book.alive == 0);
}

TEST_CASE("nothing is left: no timer, no connection, no link") {
  harness h{2};
  std::vector<std::weak_ptr<fake_link>> links;
  for (std::size_t i = 0; i < 4; ++i) links.push_back(h.open({}, i % 2).link);
  h.stop();
  for (auto& l : h.loops) CHECK(l->timers() == 0);
  h.clients.clear();
  for (auto& l : links) CHECK(l.expired());
}

// --- after the end --------------------------------------------------------------------------------------------------

TEST_CASE("after a stop every request is answered, and none is accepted") {
  harness h{2};
  auto c = h.open("ada", 1), broken = h.failed_one();
  answers<shutdown_summary> done;
  begin_stop(h, done);
  h.run();
  h.peers_answer();
  REQUIRE(done.once_each());

  CHECK(h.send(c.handle, "x") == send_result::closed);
  CHECK(h.send(broken.handle, "x") == send_result::failed);
  CHECK(h.close(c.handle) == close_result::already_closed);
  CHECK(h.remove(c.id()) == close_result::already_closed);
  CHECK(h.send(c.id(), "x") == send_result::closed);
  CHECK_FALSE(h.backbone->broadcast(message::text("x"), {}));
  CHECK(h.broadcast("x").count(send_result::written) == 0);
  CHECK(h.send_to_user("ada", "x").count(send_result::no_such_connection) == 1);
  CHECK(h.close_user("ada") == 0);
  CHECK(h.connections().connections.empty());
  CHECK(h.backbone->connection_count() == 0);
  CHECK_FALSE(h.tree().supervisor.answered);
}

TEST_CASE("handles outlive the backbone: every call is safe and says what it met") {
  connection closed, failed;
  answers<send_result> sent;
  answers<close_result> closes;
  {
    harness h{2};
    closed = h.open("ada", 1).handle;
    failed = h.failed_one().handle;
    h.stop();
  }
  closed.send(message::text("x"), sent.next());
  failed.send(message::text("x"), sent.next());
  closed.close(close_code::normal, {}, closes.next());
  failed.close(close_code::normal, {}, closes.next());
  closed.send(message::text("unasked"));
  closed.close();
  for (int i = 0; i < 10'000; ++i) closed.send(message::text("until its account is full"));
  closed.send(message::text("x"), sent.next());
  CHECK(sent.list() == std::vector{send_result::closed, send_result::failed, send_result::closed});
  CHECK(closes.list() == std::vector(2, close_result::already_closed));
  CHECK(closed.user() == "ada");
  CHECK(closed.send_reported(message::text("x")).get() == send_result::closed);
}

TEST_CASE("a supervisor that is killed takes everything down, and a stop is still answered") {
  harness h{2};
  auto a = h.open({}, 0), b = h.open({}, 1);
  answers<broadcast_summary> got;
  answers<shutdown_summary> done;
  caf::anon_send_exit(actors::caf_access::supervisor(*h.backbone), caf::exit_reason::kill);
  h.backbone->broadcast(message::text("x"), {}, got.next());
  h.run();
  CHECK(got.once_each());
  CHECK(a.link->aborted);
  CHECK(b.link->aborted);
  CHECK(h.backbone->connection_count() == 0);
  CHECK_FALSE(h.backbone->connect(0, std::make_shared<fake_link>(), {}));
  begin_stop(h, done);
  CHECK(done.once_each());
}

TEST_SUITE_END();
