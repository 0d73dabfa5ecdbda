#include <caf/scoped_actor.hpp>
#include <doctest/doctest.h>

#include <fairlead/caf/actors.hpp>

#include "actors/caf.hpp"
#include "actors/caf_access.hpp"
#include "tests/actors/harness.hpp"

/// What an embedder's own CAF actors may do with ours (include/fairlead/caf/).
using namespace fairlead;
using namespace fairlead::test;

namespace {

/// Asks as an actor of the embedder's, lets everything run, and waits for nothing: the answer is there.
template <class Answer, class Question>
std::optional<Answer> ask(harness& h, const caf::actor& whom, Question question,
                          const std::function<void()>& meanwhile = {}) {
  caf::scoped_actor self{actors::caf_access::system(*h.backbone)};
  auto asked = self->request(whom, caf::infinite, std::move(question));
  h.run();
  if (meanwhile) meanwhile();
  h.run();
  std::optional<Answer> got;
  asked.receive([&](Answer& a) { got = std::move(a); }, [](caf::error&) {});
  return got;
}

}  // namespace

TEST_SUITE_BEGIN("actors/caf");

TEST_CASE("send_message and close_connection are answered with what they met") {
  harness h;
  auto c = h.open();
  const auto actor = actor_of(c.handle);
  CHECK(ask<send_result>(h, actor, send_message{message::text("one")}) == send_result::written);
  CHECK(ask<close_result>(h, actor, close_connection{close_code::normal, "bye"}) ==
        close_result::initiated);
  CHECK(ask<send_result>(h, actor, send_message{message::text("two")}) == send_result::closing);
  CHECK(ask<close_result>(h, actor, close_connection{}) == close_result::already_closing);
  CHECK(c.texts() == std::vector<std::string>{"one"});
  CHECK(ends_at_its_close(c.link->sent));
}

TEST_CASE("a send whose connection dies before the kernel took it is answered") {
  harness h;
  auto c = h.open();
  c.link->room = 0;
  const auto r = ask<send_result>(h, actor_of(c.handle), send_message{message::text("x")},
                                  [&] { c.link->fails(); });
  CHECK(r == send_result::failed);
}

TEST_CASE("a connection that has ended answers with an error: its actor is dead") {
  harness h;
  auto c = h.closed_one();
  CHECK_FALSE(ask<send_result>(h, actor_of(c.handle), send_message{message::text("x")}));
  CHECK_FALSE(actor_of(connection{}));
}

TEST_CASE("broadcast_message is answered with the summary") {
  harness h{2};
  auto a = h.open({}, 0), b = h.open({}, 1);
  const auto s = ask<broadcast_summary>(h, actors::caf_access::supervisor(*h.backbone),
                                        broadcast_message{message::text("x"), {b.id()}});
  REQUIRE(s);
  CHECK(s->count(send_result::written) == 1);
  CHECK(s->addressed() == 1);
  CHECK(a.texts().size() == 1);
}

TEST_CASE("a message that is none of ours is an error for its sender, and hurts nobody") {
  harness h;
  auto c = h.open();
  CHECK_FALSE(ask<int>(h, actor_of(c.handle), 42));
  CHECK_FALSE(ask<int>(h, actors::caf_access::supervisor(*h.backbone), 42));
  CHECK(h.send(c.handle, "x") == send_result::written);
}

TEST_CASE("an actor of the embedder's that monitors a connection is told of its end") {
  harness h;
  auto c = h.open();
  caf::scoped_actor self{actors::caf_access::system(*h.backbone)};
  self->monitor(actor_of(c.handle));
  c.link->fails();
  h.run();
  bool told = false;
  self->receive([&](const caf::down_msg& d) { told = d.source == actor_of(c.handle).address(); });
  CHECK(told);
}

TEST_SUITE_END();
