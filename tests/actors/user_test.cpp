#include <doctest/doctest.h>

#include "actors/caf.hpp"
#include "actors/connection_core.hpp"
#include "tests/actors/harness.hpp"
#include "tests/actors/scribe.hpp"

using namespace fairlead;
using namespace fairlead::test;

namespace {

using texts = std::vector<std::string>;

/// A user whose own actor lives on this one of two loops.
std::string user_at_home_on(std::size_t loop) {
  std::string user = "user";
  while (std::hash<std::string>{}(user) % 2 != loop) user += '!';
  return user;
}

}  // namespace

TEST_SUITE_BEGIN("actors/user");

// --- users are an address -------------------------------------------------------------------------------------------

TEST_CASE("a send to a user reaches that user's connections on every loop and no one else's") {
  harness h{2};
  auto a1 = h.open("ada", 0), a2 = h.open("ada", 1), b = h.open("bob", 0), nobody = h.open();
  const auto s = h.send_to_user("ada", "yours");
  CHECK(s.count(send_result::written) == 2);
  CHECK(s.addressed() == 2);
  CHECK(a1.texts() == texts{"yours"});
  CHECK(a2.texts() == texts{"yours"});
  CHECK(b.link->sent.empty());
  CHECK(nobody.link->sent.empty());
}

TEST_CASE("a user without a connection: one no_such_connection; anonymous is not a user") {
  harness h{2};
  h.open();
  h.connecting("ada");  // not admitted
  for (const auto* user : {"ada", "bob", ""}) {
    const auto s = h.send_to_user(user, "x");
    CHECK(s.count(send_result::no_such_connection) == 1);
    CHECK(s.addressed() == 1);
  }
}

TEST_CASE("a user whose connections are closing: refused, each counted") {
  harness h;
  auto a = h.open("ada"), b = h.open("ada");
  a.handle.close();
  h.run();
  const auto s = h.send_to_user("ada", "x");
  CHECK(s.count(send_result::closing) == 1);
  CHECK(s.count(send_result::written) == 1);
  h.peers_answer();
  CHECK(h.send_to_user("ada", "x").addressed() == 1);
  b.link->fails();
  h.run();
  CHECK(h.send_to_user("ada", "x").count(send_result::no_such_connection) == 1);
}

// --- a user's actor -------------------------------------------------------------------------------------------------

TEST_CASE("one actor for a user, shared by that user's connections on all loops") {
  scribe_book book;
  harness h{2, [&](auto& o) { o.per_user = book.per_user(); }};
  auto a = h.open("ada", 0), b = h.open("ada", 1), c = h.open("bob", 1);
  CHECK(book.made == texts{"ada", "bob"});
  a.link->peer_sends("from a");
  h.run();
  b.link->peer_sends("from b");
  h.run();
  CHECK(book.lines["ada"] == texts{"opened", "opened", "received from a", "received from b"});
  CHECK(book.lines["bob"] == texts{"opened"});
  a.handle.close();
  h.run();
  h.peers_answer();
  CHECK(book.lines["ada"].back() == "closed 1000");
  CHECK(book.alive == 2);
  CHECK(h.send(b.handle, "still there") == send_result::written);
}

TEST_CASE("anonymous connections have no actor of a user's") {
  scribe_book book;
  harness h{[&](auto& o) { o.per_user = book.per_user(); }};
  h.open();
  CHECK(book.made.empty());
  CHECK(h.opened.size() == 1);
}

TEST_CASE("reconnecting: a user's actor lingers, its state is kept, and then it retires") {
  scribe_book book;
  harness h{2, [&](auto& o) {
              o.per_user = book.per_user();
              o.user_linger = 30s;
            }};
  auto a = h.open("ada", 0);
  a.link->fails();
  h.run();
  auto s = h.send_to_user("ada", "x");
  CHECK(s.count(send_result::reconnecting) == 1);
  CHECK(s.addressed() == 1);
  h.advance(29s);
  CHECK(book.alive == 1);

  auto again = h.open("ada", 1);  // the same actor, with what it remembers
  CHECK(book.made == texts{"ada"});
  CHECK(book.lines["ada"] == texts{"opened", "closed 1006", "opened"});
  h.advance(60s);
  CHECK(book.alive == 1);

  again.link->fails();
  h.advance(30s + 30ms);
  CHECK(book.alive == 0);
  s = h.send_to_user("ada", "x");
  CHECK(s.count(send_result::no_such_connection) == 1);
  h.open("ada");
  CHECK(book.made == texts{"ada", "ada"});
}

TEST_CASE("a linger beyond any clock lasts for ever") {
  scribe_book book;
  harness h{1, [&](auto& o) {
              o.per_user = book.per_user();
              o.user_linger = std::chrono::milliseconds::max();
            }};
  h.open("ada").link->fails();
  h.run();
  h.advance(1min);
  CHECK(book.alive == 1);
  CHECK(h.send_to_user("ada", "x").count(send_result::reconnecting) == 1);
}

TEST_CASE("who comes back at the moment the linger passes finds an actor, whichever it is, and the "
          "only one") {
  // The order of the timer's message, the new connection and the old actor's end is different for each number of turns.
  for (std::size_t turns = 0; turns < 8; ++turns) {
    CAPTURE(turns);
    scribe_book book;
    harness h{2, [&](auto& o) {
                o.per_user = book.per_user();
                o.user_linger = 1s;
              }};
    const auto user = user_at_home_on(0);
    h.open(user, 1).link->fails();
    h.run();
    auto link = std::make_shared<fake_link>();
    auto back = h.backbone->connect(1, link, {"p", user, "/"});
    link->upgrade();
    for (std::size_t i = 0; i < turns; ++i) h.loops[1]->turn();
    h.loops[0]->advance(1020ms);
    h.run();
    h.advance(50ms);
    CHECK(book.alive == 1);
    CHECK(h.send(back, "hello") == send_result::written);
    auto other = h.open(user, 0);
    CHECK(book.alive == 1);
    CHECK(book.lines[user].back() == "opened");
    link->peer_sends("hi");
    h.run();
    CHECK(book.lines[user].back() == "received hi");
  }
}

TEST_CASE("a user's actor keeps nothing of the connections that it has seen off") {
  scribe_book book;
  harness h{[&](auto& o) { o.per_user = book.per_user(); }};
  h.open("ada");
  caf::weak_actor_ptr gone;
  {
    auto c = h.open("ada");
    gone = caf::actor_cast<caf::weak_actor_ptr>(c.handle.core()->actor);
    c.link->fails();
    h.run();
    h.clients.clear();
    h.opened.clear();
  }
  CHECK(gone->strong_refs == 0);
  CHECK(gone->weak_refs == 1);  // this one: an actor's memory is kept until the last of them goes
}

TEST_CASE("a stale linger does not take the actor from a connection that came and went again") {
  scribe_book book;
  harness h{2, [&](auto& o) {
              o.per_user = book.per_user();
              o.user_linger = 1s;
            }};
  const auto user = user_at_home_on(0);
  h.open(user, 1).link->fails();
  h.run();
  h.advance(900ms);
  h.open(user, 1).link->fails();
  h.run();
  h.advance(900ms);
  CHECK(book.alive == 1);
  CHECK(h.send_to_user(user, "x").count(send_result::reconnecting) == 1);
  h.advance(200ms);
  CHECK(book.alive == 0);
}

TEST_CASE("a broadcast never meets a connection that waits for its user's actor") {
  scribe_book book;
  harness h{2, [&](auto& o) { o.per_user = book.per_user(); }};
  auto c = h.connecting(user_at_home_on(0), 1);
  c.link->upgrade();
  h.loops[1]->run();  // asked for; its home has not turned yet
  answers<broadcast_summary> got;
  h.backbone->broadcast(message::text("x"), {}, got.next());
  h.run();
  REQUIRE(got.once_each());
  CHECK(got.list()[0].refused() == 0);
  CHECK(h.opened.size() == 1);
  CHECK(h.broadcast("y").count(send_result::written) == 1);
}

TEST_CASE("a connection that ends while it waits for its user's actor leaves nothing attached") {
  scribe_book book;
  harness h{2, [&](auto& o) {
              o.per_user = book.per_user();
              o.user_linger = 1s;
            }};
  auto c = h.connecting(user_at_home_on(0), 1);
  c.link->upgrade();
  h.loops[1]->run();
  c.link->fails();
  h.loops[1]->run();
  h.run();
  CHECK(h.opened.empty());
  h.advance(2s);
  CHECK(book.alive == 0);
  CHECK(h.send_to_user(user_at_home_on(0), "x").count(send_result::no_such_connection) == 1);
}

// --- a user's actor that breaks -------------------------------------------------------------------------------------

TEST_CASE("a factory that throws, or makes nothing: 1011 for that connection, others live on") {
  for (const int how : {0, 1, 2}) {
    CAPTURE(how);
    scribe_book book;
    harness h{2, [&](actors::backbone_options& o) {
                o.per_user = [&, how, good = book.per_user()](
                                 const std::string& user) -> std::unique_ptr<behavior> {
                  if (user != "eve") return good(user);
                  if (how == 0) throw std::runtime_error{"no room for eve"};
                  if (how == 1) throw 42;
                  return nullptr;
                };
              }};
    auto ada = h.open("ada", 1);
    auto eve = h.open("eve", 1);
    CHECK(close_code_in(eve.link->sent) == close_code::internal_error);
    h.peers_answer();
    CHECK(h.log->count("handler.threw", "handler=per_user") == 1);
    CHECK(h.opened == std::vector{ada.handle});
    CHECK(h.closed.empty());  // who never opened is not told of
    CHECK(h.send_to_user("eve", "x").count(send_result::no_such_connection) == 1);
    CHECK(h.send(ada.handle, "x") == send_result::written);
    h.open("eve", 0);  // tried again
    CHECK(h.log->count("handler.threw", "handler=per_user") == 2);
  }
}

TEST_CASE("a behavior that throws: all its user's connections close with 1011, the next one gets a "
          "new one") {
  scribe_book book;
  harness h{2, [&](auto& o) { o.per_user = book.per_user(); }};
  auto a = h.open("ada", 0), a2 = h.open("ada", 1), b = h.open("bob", 1);
  a.link->peer_sends("throw");
  h.run();
  CHECK(close_code_in(a.link->sent) == close_code::internal_error);
  CHECK(close_code_in(a2.link->sent) == close_code::internal_error);
  CHECK(h.log->count("behavior.threw", "function=received") == 1);
  CHECK(book.alive == 1);
  CHECK(h.send(b.handle, "x") == send_result::written);
  h.peers_answer();
  CHECK(h.send_to_user("ada", "x").count(send_result::no_such_connection) == 1);
  auto again = h.open("ada", 0);
  CHECK(book.made == texts{"ada", "bob", "ada"});
  CHECK(h.send(again.handle, "x") == send_result::written);
}

TEST_CASE("back-pressure: a socket is not read while its user's actor is behind, and is again when "
          "it caught up") {
  scribe_book book;
  harness h{2, [&](auto& o) {
              o.per_user = book.per_user();
              o.limits.max_unhandled_messages = 4;
            }};
  const auto user = user_at_home_on(0);
  auto c = h.open(user, 1);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 3; ++i) c.link->peer_sends("m");
    h.loops[1]->run();  // its actor's loop does not turn
    CHECK(c.link->reading);
    c.link->peer_sends("m");
    h.loops[1]->run();
    CHECK_FALSE(c.link->reading);
    h.loops[0]->run();
    h.loops[1]->run();
    CHECK(c.link->reading);
  }
  CHECK(book.lines[user].size() == 1 + 12);
  CHECK(h.messages.size() == 12);
}

TEST_CASE("back-pressure ends with the close: the peer's Close must be read") {
  scribe_book book;
  harness h{2, [&](auto& o) {
              o.per_user = book.per_user();
              o.limits.max_unhandled_messages = 1;
            }};
  auto c = h.open(user_at_home_on(0), 1);
  c.link->peer_sends("m");
  h.loops[1]->run();
  CHECK_FALSE(c.link->reading);
  c.handle.close();
  h.loops[1]->run();
  CHECK(c.link->reading);
}

TEST_SUITE_END();
