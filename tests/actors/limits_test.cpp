#include <doctest/doctest.h>

#include "tests/actors/harness.hpp"
#include "tests/actors/scribe.hpp"

using namespace fairlead;
using namespace fairlead::test;
using protocol::limit_hit;

TEST_SUITE_BEGIN("actors/limits");

namespace {

struct counted {
  std::shared_ptr<protocol::limit_hits> hits = std::make_shared<protocol::limit_hits>();
  [[nodiscard]] options_change with(limits bounds) const {
    return [bounds, h = hits](actors::backbone_options& o) {
      o.limits = bounds;
      o.hits = h;
    };
  }
};

}  // namespace

TEST_CASE("broadcasts that are refused because too many wait are counted") {
  const counted c;
  harness h{c.with({.max_pending_broadcasts = 2})};
  h.open();
  for (int i = 0; i < 5; ++i) h.backbone->broadcast(message::text("x"), {});
  CHECK(c.hits->count(limit_hit::pending_broadcasts) == 3);
}

TEST_CASE("each pause of reading because a behavior lags behind is counted") {
  const counted c;
  scribe_book book;
  harness h{[&](auto& o) {
    c.with({.max_unhandled_messages = 2})(o);
    o.per_connection = book.per_connection();
  }};
  auto a = h.open();
  for (int i = 0; i < 3; ++i) a.link->peer_sends("x");
  h.run();
  CHECK(c.hits->count(limit_hit::unhandled_paused) >= 1);
}

TEST_CASE("limits that are set while it serves: server-wide ones hold at once, the bounds of a "
          "queue for connections from then on") {
  harness h;
  auto old = h.open();
  old.link->room = 0;
  h.backbone->set_limits({.max_queued_messages = 1, .max_pending_broadcasts = 1});
  auto young = h.open();
  young.link->room = 0;
  for (auto& c : {old, young}) c.handle.send(message::text("fills a queue of one"));
  h.run();
  answers<send_result> sent;
  young.handle.send(message::text("x"), sent.next());
  CHECK(sent.list() == std::vector{send_result::overflow});
  old.handle.send(message::text("x"), sent.next());
  h.run();
  CHECK(sent.list().size() == 1);  // let in; its queue is bounded as it was when it began
  old.link->kernel_takes(1000);
  h.run();
  CHECK(sent.list() == std::vector{send_result::overflow, send_result::written});
  CHECK(h.backbone->broadcast(message::text("x"), {}));
  CHECK_FALSE(h.backbone->broadcast(message::text("x"), {}));
}

TEST_CASE(
    "a queue that was filled under one set of limits lives on under another: size of a message, "
    "bytes, policy") {
  harness h{[](auto& o) {
    o.limits = {.max_queued_bytes = 4000, .slow_consumers = slow_policy::drop_oldest};
  }};
  auto c = h.open();
  c.link->room = 1;
  answers<send_result> sent;
  c.handle.send(message::text(std::string(1000, 'a')), sent.next());
  c.handle.send(message::text(std::string(1000, 'b')), sent.next());
  h.run();
  h.backbone->set_limits({.max_send_size = 10, .max_queued_messages = 1, .max_queued_bytes = 100});
  c.handle.send(message::text(std::string(2500, 'c')), sent.next());
  h.run();
  CHECK(sent.list() == std::vector{send_result::overflow});  // the second made way
  c.link->kernel_takes(SIZE_MAX / 2);
  h.run();
  CHECK(sent.count(send_result::written) == 2);
  CHECK_FALSE(close_code_in(c.link->sent));
}

TEST_CASE("times hold at once: how long the peer has to answer a Close") {
  harness h;
  auto c = h.open();
  h.backbone->set_limits({.close_timeout = 1s});
  c.handle.close();
  h.run();
  h.advance(1100ms);
  CHECK(c.link->aborted);
}

TEST_SUITE_END();
