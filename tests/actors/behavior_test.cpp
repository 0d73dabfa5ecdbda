#include <doctest/doctest.h>

#include "tests/actors/harness.hpp"
#include "tests/actors/scribe.hpp"

using namespace fairlead;
using namespace fairlead::test;

namespace {

using texts = std::vector<std::string>;

/// A harness in which one connection is opened beside another, which must not notice anything.
struct hurt_one {
  explicit hurt_one(const options_change& adjust) : h{adjust}, other{h.open("other")} {}
  ~hurt_one() {
    CHECK(h.send(other.handle, "lives on") == send_result::written);
    other.link->peer_sends("and is heard");
    h.run();
    CHECK_FALSE(other.link->sealed());
    CHECK(h.backbone->connection_count() >= 1);
  }
  void check_closed_with_1011(const harness::client& c) {
    CHECK(close_code_in(c.link->sent) == close_code::internal_error);
    h.peers_answer();
    const auto records = h.closed_records();
    REQUIRE(records.size() == 1);
    CHECK(records[0].info ==
          close_info{close_code::internal_error, "internal error", initiator::error, true});
    CHECK(h.log->count("connection.closed", "code=1011") == 1);
  }
  harness h;
  harness::client other;
};

bool is_victim(const connection& c) { return c.user() == "victim"; }

}  // namespace

TEST_SUITE_BEGIN("actors/behavior");

// --- handlers that throw --------------------------------------------------------------------------------------------

TEST_CASE("on_open throws: that connection closes with 1011 and is told of, others live on") {
  hurt_one t{[](actors::backbone_options& o) {
    o.on_open = [](const connection& c) {
      if (is_victim(c)) throw std::runtime_error{"no"};
    };
  }};
  t.check_closed_with_1011(t.h.open("victim"));
  CHECK(t.h.log->count("handler.threw", "handler=on_open what=no") == 1);
  CHECK(t.h.closed.size() == 1);
}

TEST_CASE("on_message throws, whatever it throws: 1011, and what came behind is not delivered") {
  std::vector<std::string> heard;
  hurt_one t{[&](actors::backbone_options& o) {
    o.on_message = [&](const connection& c, const message& m) {
      heard.emplace_back(m.view());
      if (is_victim(c)) throw 42;
    };
  }};
  auto c = t.h.open("victim");
  c.link->peer_sends("one");
  c.link->peer_sends("two");
  t.h.run();
  CHECK(heard == texts{"one"});
  t.check_closed_with_1011(c);
  CHECK(t.h.log->count("handler.threw", "handler=on_message what=not a std::exception") == 1);
}

TEST_CASE("on_close throws: logged, and the connection is gone like any other") {
  hurt_one t{[](actors::backbone_options& o) {
    o.on_close = [](const connection&, const close_info&) { throw std::runtime_error{"no"}; };
  }};
  t.h.open("victim").link->fails("gone");
  t.h.run();
  CHECK(t.h.log->count("handler.threw", "handler=on_close") == 1);
  CHECK(t.h.backbone->connection_count() == 1);
  CHECK(t.h.closed_records().at(0).info.reason == "gone");
}

TEST_CASE("a per_connection factory that throws or makes nothing refuses the connection with 1011: "
          "nobody hears of it") {
  for (const int how : {0, 1, 2}) {
    CAPTURE(how);
    scribe_book book;
    hurt_one t{[&](actors::backbone_options& o) {
      o.per_connection =
          [&, how, good = book.per_connection()](const connection& c) -> std::unique_ptr<behavior> {
        if (!is_victim(c)) return good(c);
        if (how == 0) throw std::runtime_error{"no"};
        if (how == 1) throw 42;
        return nullptr;
      };
    }};
    t.check_closed_with_1011(t.h.open("victim"));
    CHECK(t.h.log->count("handler.threw", "handler=per_connection") == 1);
    CHECK(t.h.opened == std::vector{t.other.handle});
    CHECK(t.h.closed.empty());
    CHECK(book.alive == 1);
  }
}

// --- an actor per connection ----------------------------------------------------------------------------------------

TEST_CASE("a behavior per connection hears opened, received ..., closed, in that order, and is "
          "destroyed") {
  scribe_book book;
  harness h{[&](auto& o) { o.per_connection = book.per_connection(); }};
  auto a = h.open(), b = h.open();
  a.link->peer_sends("one");
  a.link->peer_sends("two");
  b.link->peer_sends("other");
  a.link->peer_closes(close_code::going_away);
  h.run();
  h.peers_answer();
  CHECK(book.lines[to_string(a.id())] ==
        texts{"opened", "received one", "received two", "closed 1001"});
  CHECK(book.lines[to_string(b.id())] == texts{"opened", "received other"});
  CHECK(book.alive == 1);
  CHECK(h.tree().rosters[0].behaviors == 1);
  CHECK(h.messages.size() == 3);  // the handler hears all of it too
}

TEST_CASE("a behavior is made once its connection opens, and not for one that never does") {
  scribe_book book;
  harness h{[&](auto& o) { o.per_connection = book.per_connection(); }};
  auto c = h.connecting();
  c.link->fails();
  h.run();
  CHECK(book.made.empty());
}

TEST_CASE("a behavior sends through the connections it is given") {
  scribe_book book;
  harness h{[&](auto& o) { o.per_connection = book.per_connection(); }};
  auto c = h.open();
  c.link->peer_sends("reply");
  h.run();
  CHECK(c.texts() == texts{"replied"});
}

TEST_CASE("a behavior that throws in opened or received: 1011 for its connection, others live on") {
  for (const auto* what : {"opened", "throw", "throw int"}) {
    CAPTURE(what);
    scribe_book book;
    hurt_one t{[&](auto& o) { o.per_connection = book.per_connection(); }};
    const bool in_opened = std::string{what} == "opened";
    if (in_opened) book.throw_in = "opened";
    auto c = t.h.open("victim");
    book.throw_in.clear();
    if (!in_opened) c.link->peer_sends(what);
    t.h.run();
    t.check_closed_with_1011(c);
    CHECK(t.h.log->count("behavior.threw", in_opened ? "function=opened" : "function=received") ==
          1);
    CHECK(book.alive == 1);
    CHECK(t.h.closed.size() == 1);
  }
}

TEST_CASE("a behavior that throws in closed: logged, and nothing is left of it") {
  scribe_book book;
  hurt_one t{[&](auto& o) { o.per_connection = book.per_connection(); }};
  auto c = t.h.open("victim");
  book.throw_in = "closed";
  c.link->fails();
  t.h.run();
  CHECK(t.h.log->count("behavior.threw", "function=closed") == 1);
  CHECK(book.alive == 1);
  CHECK(t.h.backbone->connection_count() == 1);
}

TEST_CASE("a connection with an actor of its own and one of its user's is served by both") {
  scribe_book own, shared;
  harness h{[&](auto& o) {
    o.per_connection = own.per_connection();
    o.per_user = shared.per_user();
    o.limits.max_unhandled_messages = 4;
  }};
  auto c = h.open("ada");
  for (int i = 0; i < 10; ++i) c.link->peer_sends("m");
  h.run();
  CHECK(c.link->reading);
  CHECK(own.lines[to_string(c.id())].size() == 11);
  CHECK(shared.lines["ada"].size() == 11);
  c.link->peer_sends("throw");
  h.run();
  CHECK(close_code_in(c.link->sent) == close_code::internal_error);
  CHECK(own.alive + shared.alive == 0);
}

TEST_CASE("the last close that a snapshot shows is the last one, whoever asked for it") {
  harness h{[](actors::backbone_options& o) {
    o.on_message = [](const connection&, const message&) { throw std::runtime_error{"no"}; };
  }};
  auto c = h.open();
  CHECK(h.close(c.handle, close_code::abnormal) == close_result::invalid_code);
  c.link->peer_sends("x");
  h.run();
  const auto last = h.snapshot(c).last_close;
  REQUIRE(last);
  CHECK(last->code == close_code::internal_error);
  CHECK(last->by == initiator::error);
  CHECK(last->result == close_result::initiated);
}

TEST_SUITE_END();
