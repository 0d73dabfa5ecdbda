#include <doctest/doctest.h>

#include <fairlead/caf/actors.hpp>

#include "actors/caf.hpp"
#include "actors/connection_core.hpp"
#include "tests/actors/harness.hpp"

using namespace fairlead;
using namespace fairlead::test;
using protocol::connection_state;

namespace {

using results = std::vector<send_result>;

void small_queues(actors::backbone_options& o) {
  o.limits.max_queued_messages = 4;
  o.limits.max_queued_bytes = 100;
  o.limits.max_send_size = 50;
  o.limits.slow_consumers = slow_policy::drop_newest;
}

std::size_t count(const protocol::connection_snapshot& s, send_result r) {
  return s.counts.outcomes[static_cast<std::size_t>(r)];
}

}  // namespace

TEST_SUITE_BEGIN("actors/connection");

// --- becoming open --------------------------------------------------------------------------------------------------

TEST_CASE("a connection opens once its handshake is complete and its roster admitted it") {
  harness h;
  auto c = h.connecting("ada");
  CHECK(h.opened.empty());
  CHECK_FALSE(c.link->reading);
  CHECK(h.backbone->connection_count() == 1);
  c.link->upgrade();
  h.run();
  REQUIRE(h.opened == std::vector{c.handle});
  CHECK(c.link->reading);
  CHECK(c.handle.user() == "ada");
  CHECK(c.handle.peer() == "127.0.0.1:50000");
  CHECK(h.log->count("connection.accepted") == 1);
  CHECK(h.log->count("connection.open", "user=ada") == 1);
}

TEST_CASE("every connection has an id of its own, which names its loop") {
  harness h{2};
  const auto a = h.open({}, 0), b = h.open({}, 1), c = h.open({}, 1);
  CHECK(a.id().loop == 0);
  CHECK(b.id().loop == 1);
  CHECK(b.id().serial != c.id().serial);
  CHECK(parse_connection_id(to_string(b.id())) == b.id());
}

// --- sends, state by state ------------------------------------------------------------------------------------------

TEST_CASE("open: what is sent is written, in order, in one flush") {
  harness h;
  auto c = h.open();
  answers<send_result> sent;
  const auto flushes = c.link->flushes;
  c.handle.send(message::text("one"), sent.next());
  c.handle.send(message::text("two"));
  c.handle.send(message::binary(std::as_bytes(std::span{"three", 5})), sent.next());
  h.run();
  CHECK(sent.list() == results(2, send_result::written));
  CHECK(c.link->flushes == flushes + 1);
  CHECK(c.texts() == std::vector<std::string>{"one", "two", "three"});
}

TEST_CASE("connecting: a send is refused and writes nothing") {
  harness h;
  auto c = h.connecting();
  CHECK(h.send(c.handle, "early") == send_result::connecting);
  CHECK(h.send(c.id(), "early") == send_result::connecting);
  c.link->upgrade();
  h.run();
  CHECK(c.link->sent.empty());
}

TEST_CASE("accepted: a send is refused and writes nothing") {
  harness h;
  auto c = h.connecting();
  answers<send_result> sent;
  c.link->upgrade();
  c.handle.send(message::text("early"), sent.next());  // in the mailbox before the roster's answer
  h.run();
  CHECK(sent.list() == results{send_result::accepted});
  CHECK(h.opened.size() == 1);
  CHECK(c.link->sent.empty());
}

TEST_CASE("closing: a send is refused and nothing follows the Close frame [RFC 6455 5.5.1]") {
  harness h;
  auto c = h.closing();
  const auto sent = c.link->sent;
  CHECK(h.send(c.handle, "late") == send_result::closing);
  CHECK(h.send(c.id(), "late") == send_result::closing);
  CHECK(c.link->sent == sent);
  CHECK(ends_at_its_close(c.link->sent));
}

TEST_CASE("closed: a send is refused") {
  harness h;
  auto c = h.closed_one();
  CHECK(h.send(c.handle, "late") == send_result::closed);
  CHECK(ends_at_its_close(c.link->sent));
}

TEST_CASE("failed: a send is refused, and so is what was queued and not written") {
  harness h;
  auto c = h.open();
  c.link->room = 3;
  answers<send_result> sent;
  c.handle.send(message::text("half of it"), sent.next());
  h.run();
  CHECK(sent.list().empty());
  c.link->fails();
  h.run();
  CHECK(sent.list() == results{send_result::failed});
  CHECK(h.send(c.handle, "late") == send_result::failed);
}

TEST_CASE(
    "no such connection: a default handle, an unknown id, an id that is gone, an unknown loop") {
  harness h;
  const auto gone = h.closed_one();
  CHECK(h.send(connection{}, "x") == send_result::no_such_connection);
  CHECK(h.send(connection_id{0, 4711}, "x") == send_result::no_such_connection);
  CHECK(h.send(gone.id(), "x") == send_result::no_such_connection);
  CHECK(h.send(connection_id{9, 1}, "x") == send_result::no_such_connection);
  CHECK(h.log->count("connection.not_found", "for=send") == 3);
  connection{}.send(message::text("nobody asked"));
  CHECK_FALSE(connection{});
  CHECK(connection{}.user().empty());
  CHECK(connection{}.id() == connection_id{});
}

TEST_CASE("futures report what callbacks do") {
  harness h;
  auto c = h.open();
  auto sent = c.handle.send_reported(message::text("x"));
  auto closed = c.handle.close_reported(close_code::normal, "done");
  h.run();
  CHECK(sent.get() == send_result::written);
  CHECK(closed.get() == close_result::initiated);
  CHECK(connection{}.send_reported(message::text("x")).get() == send_result::no_such_connection);
}

TEST_CASE("a callback that throws hurts nobody") {
  harness h;
  auto c = h.open();
  c.handle.send(message::text("one"), [](send_result) { throw std::runtime_error{"mine"}; });
  CHECK(h.send(c.handle, "two") == send_result::written);
}

TEST_CASE("sends from inside handlers and callbacks go their way") {
  harness h{[](actors::backbone_options& o) {
    o.on_open = [](const connection& c) { c.send(message::text("welcome")); };
    o.on_message = [](const connection& c, const message& m) {
      c.send(m, [c](send_result) { c.send(message::text("and again")); });
    };
  }};
  auto c = h.open();
  c.link->peer_sends("echo");
  h.run();
  CHECK(c.texts() == std::vector<std::string>{"welcome", "echo", "and again"});
}

TEST_CASE("what a handler sends and closes keeps its order") {
  answers<send_result> sent;
  answers<close_result> closes;
  harness h{[&](actors::backbone_options& o) {
    o.on_message = [&](const connection& c, const message& m) {
      c.send(message::text("1"), sent.next());
      c.send(message::text("2"), sent.next());
      if (m.view() == "throw") throw std::runtime_error{"no"};
      c.close(close_code::normal, {}, closes.next());
      c.send(message::text("3"), sent.next());
    };
  }};
  auto c = h.open(), unlucky = h.open();
  c.link->peer_sends("go");
  h.run();
  CHECK(c.texts() == std::vector<std::string>{"1", "2"});
  CHECK(sent.list() == results{send_result::written, send_result::written, send_result::closing});
  CHECK(closes.list() == std::vector{close_result::initiated});
  unlucky.link->peer_sends("throw");
  h.run();
  CHECK(sent.once_each());
  CHECK(ends_at_its_close(unlucky.link->sent));
}

// --- limits ---------------------------------------------------------------------------------------------------------

TEST_CASE("what on_message answers is written before a Close behind the message is read") {
  answers<send_result> sent;
  harness h{[&](auto& o) {
    o.on_message = [&](const connection& c, const message& m) { c.send(m, sent.next()); };
  }};
  auto c = h.open();
  SUBCASE("handled at once") {
    c.link->peer_sends("ask");
    CHECK(c.link->reading);
    c.link->peer_closes(close_code::normal);
    h.run();
  }
  SUBCASE("it waits in the mailbox, and reading with it") {
    c.handle.send(message::text("before"), sent.next());
    c.link->peer_sends("ask");
    CHECK_FALSE(c.link->reading);
    c.link->when_read_on = [&] { c.link->peer_closes(close_code::normal); };
    h.run();
    CHECK(c.link->reading);
    CHECK(c.texts().front() == "before");
  }
  CHECK(sent.list() == results(sent.asked(), send_result::written));
  CHECK(c.texts().back() == "ask");
  CHECK(ends_at_its_close(c.link->sent));
}

TEST_CASE("too_large: a message over the limit is refused, one at the limit is not") {
  harness h{small_queues};
  auto c = h.open();
  CHECK(h.send(c.handle, std::string(50, 'x')) == send_result::written);
  CHECK(h.send(c.handle, std::string(51, 'x')) == send_result::too_large);
  CHECK(h.send(c.id(), std::string(51, 'x')) == send_result::too_large);
  CHECK(count(h.snapshot(c), send_result::too_large) == 2);
}

TEST_CASE("too_large: what no empty queue could hold is never an overflow") {
  harness h{[](auto& o) { o.limits.max_queued_bytes = 20; }};
  auto c = h.open();
  CHECK(h.send(c.handle, std::string(18, 'x')) == send_result::written);
  CHECK(h.send(c.handle, std::string(19, 'x')) == send_result::too_large);
}

TEST_CASE("overflow is counted at enqueue: a mailbox that nobody empties stays under the limits") {
  harness h{small_queues};
  auto c = h.open();
  answers<send_result> sent;
  for (int i = 0; i < 10; ++i) c.handle.send(message::text("x"), sent.next());
  CHECK(sent.count(send_result::overflow) == 6);  // before the actor ran at all
  CHECK(c.handle.core()->queued().messages() == 4);
  h.run();
  CHECK(sent.once_each());
  CHECK(sent.count(send_result::written) == 4);
  CHECK(c.handle.core()->queued().messages() == 0);
  CHECK(c.handle.core()->queued().bytes() == 0);
}

TEST_CASE(
    "a link that compresses: the room that it saves is free at once, and is not freed twice") {
  harness h{small_queues};
  auto c = h.open();
  const auto& account = c.handle.core()->queued();
  c.link->shrunk_to = 4;
  c.link->room = 0;
  for (int i = 0; i < 3; ++i) {
    c.handle.send(message::text(std::string(48, 'x')));
    CHECK(account.bytes() == 50 + 4 * static_cast<std::size_t>(i));
    h.run();
  }
  CHECK(account.messages() == 3);
  CHECK(account.bytes() == 12);
  c.link->kernel_takes(6);
  h.run();
  CHECK(account.messages() == 2);
  CHECK(account.bytes() == 8);
  SUBCASE("all is taken") {
    c.link->kernel_takes(6);
    h.run();
    CHECK(count(h.snapshot(c), send_result::written) == 3);
    CHECK(h.snapshot(c).counts.bytes_written == 12);
    c.link->room = SIZE_MAX;
    for (int i = 0; i < 20; ++i)
      CHECK(h.send(c.handle, std::string(48, 'x')) == send_result::written);
  }
  SUBCASE("it breaks") {
    c.link->fails();
    h.run();
  }
  CHECK(account.messages() == 0);
  CHECK(account.bytes() == 0);
}

TEST_CASE(
    "a slow reader: queues stay under the limits, sends overflow, and it recovers when it reads") {
  harness h{small_queues};
  auto c = h.open();
  const auto& account = c.handle.core()->queued();
  for (int episode = 1; episode <= 3; ++episode) {
    CAPTURE(episode);
    c.link->room = 0;
    answers<send_result> sent;
    for (int i = 0; i < 20; ++i) {
      c.handle.send(message::text(std::string(20, 'x')), sent.next());
      if (i % 3 == 0) h.run();
      CHECK(account.messages() <= 4);
      CHECK(account.bytes() <= 100);
    }
    h.run();
    CHECK(sent.count(send_result::overflow) == 16);
    CHECK(h.log->count("send.overflow") == static_cast<std::size_t>(episode));  // once an episode
    CHECK(h.send(c.handle, "x") == send_result::overflow);
    CHECK(c.link->queued_bytes() <= 100);
    c.link->kernel_takes(10'000);
    h.run();
    CHECK(sent.once_each());
    CHECK(sent.count(send_result::written) == 4);
    CHECK(account.messages() == 0);
    CHECK(h.send(c.handle, "x") == send_result::written);
  }
  CHECK(h.log->count("send.overflow", "id=" + to_string(c.id())) == 3);
}

TEST_CASE("an overflow of the mailbox alone ends with it") {
  harness h{small_queues};
  auto c = h.open();
  for (int episode = 1; episode <= 3; ++episode) {
    for (int i = 0; i < 10; ++i) c.handle.send(message::text("x"));
    h.run();
    CHECK(h.log->count("send.overflow") == static_cast<std::size_t>(episode));
  }
}

TEST_CASE("what the kernel took late is reported when it took the last byte") {
  harness h;
  auto c = h.open();
  c.link->room = 0;
  answers<send_result> sent;
  c.handle.send(message::text("12345678"), sent.next());
  h.run();
  c.link->kernel_takes(9);
  h.run();
  CHECK(sent.list().empty());
  c.link->kernel_takes(1);
  h.run();
  CHECK(sent.list() == results{send_result::written});
  const auto s = h.snapshot(c);
  CHECK(count(s, send_result::written) == 1);
  CHECK(s.counts.bytes_written == 10);
}

// --- messages of the peer's -----------------------------------------------------------------------------------------

TEST_CASE("messages reach the handler in order, and none before it is open or after it closes") {
  harness h;
  auto c = h.connecting();
  c.link->upgrade();
  c.link->peer_sends("before admission");
  h.run();
  c.link->peer_sends("one");
  c.link->peer_sends("two");
  h.run();
  c.handle.close();
  h.run();
  c.link->peer_sends("too late");
  h.run();
  CHECK(h.messages ==
        std::vector<std::pair<connection_id, std::string>>{{c.id(), "one"}, {c.id(), "two"}});
}

// --- an actor that dies ---------------------------------------------------------------------------------------------

TEST_CASE(
    "an actor that is killed, in any state: removed, reported, its sends and closes answered") {
  for (const auto reason : {caf::exit_reason::kill, caf::exit_reason::user_shutdown}) {
    for (const auto* state : {"connecting", "open", "closing"}) {
      CAPTURE(state);
      harness h;
      auto other = h.open();
      auto c = *state == 'o' ? h.open() : state[1] == 'o' ? h.connecting() : h.closing();
      c.link->room = 0;
      answers<send_result> sent;
      answers<close_result> closes;
      c.handle.send(message::text("on the wire"), sent.next());
      h.run();
      caf::anon_send_exit(actor_of(c.handle), reason);
      c.handle.send(message::text("in the mailbox"), sent.next());
      c.handle.close(close_code::normal, {}, closes.next());
      h.run();
      CHECK(sent.once_each());
      CHECK(sent.count(send_result::written) == 0);
      CHECK(closes.once_each());
      CHECK(c.link->aborted);
      CHECK(h.backbone->connection_count() == 1);
      CHECK(h.closed_records().size() == 1);
      CHECK(h.tree().rosters[0].connections == 1);
      CHECK(h.closed.size() == (*state == 'c' && state[1] == 'o' ? 0u : 1u));
      CHECK(h.send(other.handle, "lives on") == send_result::written);
    }
  }
}

TEST_CASE("what was in the mailbox of a connection that ended is counted with the rest") {
  harness h;
  auto c = h.open();
  c.link->room = 0;
  answers<send_result> sent;
  c.handle.send(message::text("on the wire"), sent.next());
  h.run();
  c.link->fails();
  for (int i = 0; i < 3; ++i) c.handle.send(message::text("in the mailbox"), sent.next());
  h.run();
  CHECK(sent.list() == results(4, send_result::failed));
  const auto records = h.closed_records();
  REQUIRE(records.size() == 1);
  CHECK(records[0].counts.outcomes[static_cast<std::size_t>(send_result::failed)] == 4);
}

TEST_CASE(
    "what is sent after the end is refused, counted and logged, however much it is, and fills "
    "nothing") {
  for (const bool broken : {false, true}) {
    CAPTURE(broken);
    harness h{[](actors::backbone_options& o) {
      o.limits.max_queued_messages = 4;
      o.limits.max_send_size = 1024;
    }};
    auto c = broken ? h.failed_one() : h.closed_one();
    const auto end = broken ? send_result::failed : send_result::closed;
    const auto before = h.closed_records().front().counts.outcomes;
    for (int i = 0; i < 10; ++i) c.handle.send(message::text("nobody asks"));
    answers<send_result> sent;
    for (int i = 0; i < 10; ++i) c.handle.send(message::text("asked"), sent.next());
    c.handle.send(message::text(std::string(2000, 'x')), sent.next());
    CHECK(sent.list() == results(11, end));  // at once
    CHECK(c.handle.core()->queued().messages() == 0);
    CHECK(h.log->count("send.refused", "outcome=" + std::string{to_string(end)}) == 21);
    actors::metrics_snapshot now;
    h.backbone->take_metrics(1s, [&](actors::metrics_snapshot m) { now = std::move(m); });
    h.run();
    const auto place = static_cast<std::size_t>(end);
    CHECK(now.loops.at(0).counts.totals.outcomes[place] == before[place] + 21);
  }
}

TEST_CASE("nothing is kept: neither links nor actors outlive their connection and its handles") {
  harness h;
  std::weak_ptr<fake_link> link;
  caf::weak_actor_ptr actor;
  {
    auto c = h.open();
    c.link->room = 0;
    c.handle.send(message::text("asked"), [keep = c.handle](send_result) {});
    h.run();
    link = c.link;
    actor = caf::actor_cast<caf::weak_actor_ptr>(c.handle.core()->actor);
    c.link->fails();
    h.run();
    h.clients.clear();
    h.opened.clear();
    h.closed.clear();
  }
  CHECK(link.expired());
  CHECK_FALSE(actor.lock());
}

TEST_SUITE_END();
