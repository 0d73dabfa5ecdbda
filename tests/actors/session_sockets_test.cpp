#include <doctest/doctest.h>

#include "tests/actors/session_harness.hpp"

using namespace fairlead;
using namespace fairlead::test;

namespace {

/// So many sockets may attach at once.
session_options joining(std::size_t sockets) {
  session_options o;
  o.on_second_socket = second_socket::joins;
  o.max_sockets = sockets;
  return o;
}

}  // namespace

/// A session and its sockets: tokens, one or several, slow ones, whatever the limits are or become.
TEST_SUITE_BEGIN("actors/session_sockets");

// --- tokens ---------------------------------------------------------------------------------------------------------

TEST_CASE("nobody attaches without the token, or as somebody else; the close says why") {
  session_harness h{plain()};
  const auto s = h.spawn("plain", {.id = "s", .user = "ann"});
  for (const auto& bad : {std::string{}, std::string{"guess"}, std::string(100'000, 'x'),
                          s.token.substr(1), s.token + "x"})
    CHECK(h.attach("s", bad).closed_with() == close_code::session_token);
  CHECK(h.attach("s", s.token, 0, "bob").closed_with() == close_code::session_token);
  CHECK(s.session.state() == session_state::detached);
  CHECK(h.opened.empty());
  CHECK(h.attach("s", s.token, 0, "ann").recovered());
  CHECK(h.attach("nobody", s.token).closed_with() == close_code::session_unknown);
}

TEST_CASE("a session that is no user's takes whoever has its token") {
  session_harness h{plain()};
  const auto s = h.spawn("plain", {.id = "s"});
  CHECK(h.attach("s", s.token, 0, "bob").recovered());
}

TEST_CASE("a token rotates: used up once its successor was used; one more can be issued") {
  session_harness h{plain()};
  const auto s = h.spawn("plain", {.id = "s"});
  auto a = h.attach("s", s.token);
  auto b = h.attach("s", s.token);  // its socket was lost before it read the answer
  CHECK(b.recovered());
  auto c = h.attach("s", b.token());
  CHECK(h.attach("s", s.token).closed_with() == close_code::session_token);
  std::string issued;
  s.session.issue_token([&](std::string t) { issued = std::move(t); });
  h.run();
  CHECK(h.attach("s", issued).recovered());
  s.session.end();
  s.session.issue_token([&](std::string t) { issued = std::move(t); });
  h.run();
  CHECK(issued.empty());
}

// --- several sockets ------------------------------------------------------------------------------------------------

TEST_CASE("a second socket takes over: the older one is closed, behind what it was sent") {
  session_harness h{plain()};
  const auto s = h.spawn("plain", {.id = "s"});
  auto a = h.attach("s", s.token);
  h.emit(s.session);
  auto b = h.attach("s", a.token(), 1);
  h.emit(s.session);
  CHECK(a.closed_with() == close_code::session_taken_over);
  CHECK(a.offsets() == offsets{1});
  CHECK(b.offsets() == offsets{2});
  h.peers_answer();
  CHECK(s.session.state() == session_state::attached);
}

TEST_CASE("or joins: both get everything, up to a number of sockets") {
  session_harness h{plain(joining(2)), 2};
  const auto s = h.spawn("plain", {.id = "s"});
  auto a = h.attach("s", s.token, 0, {}, 0), b = h.attach("s", s.token, 0, {}, 1);
  CHECK(h.attach("s", s.token).closed_with() == close_code::session_full);
  CHECK(h.emit(s.session).result == emit_result::written);
  CHECK(a.offsets() == offsets{1});
  CHECK(b.offsets() == offsets{1});
  a.link->fails();
  h.run();
  CHECK(s.session.state() == session_state::attached);
  b.link->fails();
  h.run();
  CHECK(s.session.state() == session_state::reconnecting);
}

TEST_CASE("as many sockets as it may, also of those that come at once") {
  session_harness h{plain(joining(2)), 2};
  const auto s = h.spawn("plain", {.id = "s"});
  std::vector<session_socket> all;
  for (std::size_t i = 0; i < 4; ++i) all.push_back(h.ask("s", s.token, i % 2));
  for (const auto& a : all) a.link->upgrade();
  h.run();
  CHECK(std::ranges::count(all, close_code::session_full, &session_socket::closed_with) == 2);
  CHECK(h.look("s").sockets.size() == 2);
}

TEST_CASE("where all places are taken, a client that comes back gets that of its own dead socket") {
  session_harness h{plain(joining(2))};
  const auto s = h.spawn("plain", {.id = "s"});
  auto other = h.attach("s", s.token);
  auto c = h.attach("s", s.token);
  for (int i = 0; i < 40; ++i) {
    auto again = h.attach("s", c.token());
    CHECK(again.recovered());
    CHECK(c.closed_with() == close_code::session_taken_over);
    c = again;
  }
  CHECK_FALSE(other.closed_with());
  CHECK(h.look("s").sockets.size() == 2);
  CHECK(h.attach("s", s.token).closed_with() == close_code::session_token);  // used up
}

// --- slow sockets ---------------------------------------------------------------------------------------------------

TEST_CASE(
    "a slow socket costs no more than the stream: sent on as it reads, in order, nothing lost") {
  session_options o;
  o.max_messages = 1'000;
  session_harness h{plain(o), 1, [](auto& b) {
                      b.limits.max_queued_messages = 16;
                      b.limits.slow_consumers = slow_policy::drop_oldest;  // must not make a gap
                    }};
  const auto s = h.spawn("plain", {.id = "s"});
  auto c = h.attach("s", s.token, 0, {}, 0, 0);
  for (int i = 0; i < 200; ++i) {
    s.session.emit("e", "1");
    h.run();
  }
  CHECK(h.snapshot({c.handle, c.link}).queued_messages <= 16);
  CHECK(h.look("s").sockets.front().lagging);
  for (int i = 0; i < 2'000 && c.offsets().size() < 200; ++i) {
    c.link->kernel_takes(150);
    h.run();
  }
  offsets all(200);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i + 1;
  CHECK(c.offsets() == all);
  CHECK_FALSE(c.closed_with());
}

TEST_CASE("one so slow that the stream cannot serve it is closed with 3008, and told of the gap "
          "when it comes back") {
  session_options o;
  o.max_messages = 20;
  session_harness h{plain(o), 1, [](auto& b) { b.limits.max_queued_messages = 8; }};
  const auto s = h.spawn("plain", {.id = "s"});
  auto c = h.attach("s", s.token, 0, {}, 0, 0);
  for (int i = 0; i < 40; ++i) {
    s.session.emit("e", "1");
    h.run();
  }
  c.link->kernel_takes(SIZE_MAX / 2);
  h.run();
  CHECK(c.closed_with() == close_code::slow_consumer);
  const auto seen = c.offsets();
  for (std::size_t i = 0; i < seen.size(); ++i) CHECK(seen[i] == i + 1);
  CHECK_FALSE(h.attach("s", c.token(), seen.size()).recovered());
}

// Found by the simulation, seed 132.
TEST_CASE("the end waits for no slow socket, and cuts off nothing that its queue has room for") {
  session_options o;
  o.max_messages = 1'000;
  std::uint32_t queue = 64;
  SUBCASE("all of it has room") {}
  SUBCASE("not all of it: the client is not told that it has everything") { queue = 16; }
  session_harness h{plain(o), 1, [&](auto& b) { b.limits.max_queued_messages = queue; }};
  const auto s = h.spawn("plain", {.id = "s"});
  auto c = h.attach("s", s.token, 0, {}, 0, 0);
  for (int i = 0; i < 40; ++i) {
    s.session.emit("e", "1");
    h.run();
  }
  CHECK(h.look("s").sockets.front().lagging);
  s.session.end("all done");
  h.run();
  c.link->kernel_takes(SIZE_MAX);
  h.run();
  const auto got = c.offsets();
  for (std::size_t i = 0; i < got.size(); ++i) REQUIRE(got[i] == i + 1);
  CHECK(c.closed_with() ==
        (got.size() == 40 ? close_code::session_ended : close_code::slow_consumer));
  CHECK((queue == 64) == (got.size() == 40));
}

TEST_CASE("no message of others takes the place of an event, whatever the policy") {
  for (const auto policy : {slow_policy::drop_oldest, slow_policy::keep_latest}) {
    session_harness h{{{"plain", {}}}, 1, [&](actors::backbone_options& o) {
                        o.limits.max_queued_messages = 4;
                        o.limits.slow_consumers = policy;
                      }};
    const auto made = h.spawn();
    const auto socket = h.attach(made.session.id(), made.token, 0, {}, 0, 0);
    for (int i = 0; i < 8; ++i) {
      made.session.emit("e", "1");
      h.run();
    }
    for (int i = 0; i < 8; ++i) h.backbone->broadcast(message::text("to all"), {});
    for (int i = 0; i < 8; ++i) {
      socket.link->kernel_takes(SIZE_MAX / 2);
      h.run();
    }
    CHECK(socket.hello().find("attached") != std::string::npos);
    std::vector<std::uint64_t> events;
    for (const auto offset : socket.offsets())
      if (offset > 0) events.push_back(offset);  // a broadcast has none
    // Broadcasts may leave it no room: then the socket is closed, and comes back for the rest.
    for (std::size_t n = 0; n < events.size(); ++n) CHECK(events[n] == n + 1);
    CHECK((events.size() == 8 || socket.closed_with() == close_code::slow_consumer));
  }
}

TEST_CASE("a long replay goes through a short queue") {
  session_harness h{plain(), 1, [](auto& b) { b.limits.max_queued_messages = 8; }};
  const auto s = h.spawn("plain", {.id = "s"});
  for (int i = 0; i < 500; ++i) h.emit(s.session);
  auto c = h.attach("s", s.token);
  CHECK(c.offsets().size() == 500);
  CHECK(c.offsets().back() == 500);
}

// --- limits that change, and small ones ------------------------------------------------------------------------------

TEST_CASE("an event that a socket may not take any more is a gap that is told, live and when it "
          "comes back") {
  const auto set = [](auto& h, std::size_t bytes, std::size_t message) {
    auto now = h.backbone->limits();
    now.max_queued_bytes = bytes;
    now.max_send_size = message;
    h.backbone->set_limits(now);
  };
  std::size_t queue = 1'048'576, message = 1'000'000;
  SUBCASE("a lower max_queued_bytes") { queue = 65'536; }
  SUBCASE("a lower max_send_size") { message = 65'536; }
  session_harness h{plain()};
  set(h, 1'048'576, 1'000'000);
  const auto s = h.spawn("plain", {.id = "s"});
  CHECK(h.emit(s.session, std::string(100'000, '1')).offset == 1);
  CHECK(h.emit(s.session).offset == 2);

  set(h, queue, message);
  auto c = h.attach("s", s.token);
  CHECK_FALSE(c.recovered());
  CHECK(number_in(c.hello(), "offset") == 2);
  CHECK(c.offsets().empty());
  CHECK(h.emit(s.session, std::string(100'000, '1')).result == emit_result::too_large);
  h.emit(s.session);
  CHECK(c.offsets() == offsets{3});
  auto d = h.attach("s", c.token(), 1);  // it has the large one
  CHECK(d.recovered());
  CHECK(d.offsets() == offsets{2, 3});

  set(h, 1'048'576, 1'000'000);
  CHECK(h.emit(s.session, std::string(100'000, '1')) == emit_report{emit_result::kept, 4});
  h.emit(s.session);
  CHECK(d.offsets() == offsets{2, 3});
  CHECK(d.closed_with() == close_code::slow_consumer);
  auto e = h.attach("s", d.token(), 3);
  CHECK(e.recovered());
  CHECK(e.offsets() == offsets{4, 5});
}

TEST_CASE("limits that are raised and lowered count for the next emit") {
  session_harness h{plain({.max_bytes = 4'000'000})};
  const auto s = h.spawn();
  const std::string large(1'500'000, '1');
  CHECK(h.emit(s.session, large).result == emit_result::too_large);
  auto now = h.backbone->limits();
  now.max_queued_bytes = 8'000'000;
  h.backbone->set_limits(now);
  CHECK(h.emit(s.session, large).result == emit_result::kept);
  now.max_send_size = 1'000'000;
  h.backbone->set_limits(now);
  CHECK(h.emit(s.session, large).result == emit_result::too_large);
}

TEST_CASE("an event that has no room waits for it, and closes nobody") {
  session_harness h{plain(), 2, [](auto& o) { o.limits.max_queued_bytes = 10'000; }};
  const auto s = h.spawn("plain", {.id = "s"});
  for (int i = 0; i < 3; ++i)
    CHECK(h.emit(s.session, std::string(9'000, '1')).result == emit_result::kept);
  for (const std::size_t loop : {0, 1}) {
    auto c = h.attach("s", s.token, 0, {}, loop, 0);
    h.backbone->broadcast(message::text(std::string(500, 'b')), {});
    h.run();
    for (int i = 0; i < 60; ++i) {
      c.link->kernel_takes(1'000);
      h.run();
      CHECK(h.snapshot({c.handle, c.link}).queued_bytes <= 10'000);
    }
    auto got = c.offsets();
    std::erase(got, 0U);  // the broadcast
    CHECK(got == offsets{1, 2, 3});
    CHECK_FALSE(c.closed_with());
  }
}

TEST_CASE("a queue of one message, or of two, is enough") {
  for (const std::uint32_t most : {1, 2, 3}) {
    for (const std::size_t loop : {0, 1}) {
      session_harness h{plain(), 2, [&](auto& o) { o.limits.max_queued_messages = most; }};
      const auto s = h.spawn("plain", {.id = "s"});
      for (int i = 0; i < 10; ++i) h.emit(s.session);
      auto c = h.attach("s", s.token, 0, {}, loop);
      CHECK(c.offsets().size() == 10);
      for (int i = 0; i < 10; ++i) h.emit(s.session);
      REQUIRE(c.offsets().size() == 20);
      CHECK(c.offsets().back() == 20);
      CHECK_FALSE(c.closed_with());
    }
  }
}

TEST_CASE("where even the first message has no room, the client is sent away") {
  session_harness h{plain(), 1, [](auto& o) { o.limits.max_queued_bytes = 100; }};
  const auto s = h.spawn("plain", {.id = "s"});
  const auto c = h.attach("s", s.token);
  CHECK(c.closed_with() == close_code::internal_error);
  CHECK(c.texts().empty());
  CHECK(s.session.state() == session_state::reconnecting);
}

TEST_CASE("nothing comes before the message that tells where it stands, whoever sends") {
  for (const std::size_t loop : {0, 1}) {
    session_harness h{plain(), 2};
    const auto s = h.spawn("plain", {.id = "s", .user = "ann"});
    h.emit(s.session);
    auto link = std::make_shared<fake_link>();
    actors::connection_seed seed{"127.0.0.1:1", "ann", "/ws"};
    seed.attach =
        std::make_unique<protocol::attach_request>(protocol::attach_request{"s", s.token, 0, {}});
    const auto handle = h.backbone->connect(loop, link, std::move(seed));
    answers<send_result> sent;
    answers<broadcast_summary> broadcasts;
    for (int i = 0; i < 20; ++i) {
      if (i == 3) link->upgrade();
      handle.send(message::text("by handle"), sent.next());
      h.backbone->send(handle.id(), message::text("by id"), sent.next());
      h.backbone->send_to_user("ann", message::text("to a user"), broadcasts.next());
      h.backbone->broadcast(message::text("to all"), {}, broadcasts.next());
      h.backbone->broadcast(message::text("to all, unasked"), {});
      for (auto& l : h.loops) l->turn();
      h.side->turn();
    }
    h.run();
    const auto all = texts_in(link->sent);
    REQUIRE(all.size() > 2);
    CHECK(all[0].find("attached") != std::string::npos);
    CHECK(number_in(all[1], "offset") == 1);
    CHECK(std::ranges::count(all, std::string{"to all, unasked"}) > 0);
    CHECK(sent.once_each());
    CHECK(sent.count(send_result::accepted) > 0);
    CHECK(sent.count(send_result::written) > 0);
    CHECK(broadcasts.once_each());
  }
}

TEST_SUITE_END();
