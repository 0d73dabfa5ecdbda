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
  CHECK(sent.list().size() == 1);  // let in; its queue is bounded as it was when it began
  CHECK(h.backbone->broadcast(message::text("x"), {}));
  CHECK_FALSE(h.backbone->broadcast(message::text("x"), {}));
}

TEST_SUITE_END();
