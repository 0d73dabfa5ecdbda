#include <doctest/doctest.h>

#include "tests/actors/session_harness.hpp"

/// Who has a session, and who watches it.
using namespace fairlead;
using namespace fairlead::test;

namespace {

session_types types() {
  return {{"plain", {}}, {"lingers", {{}, {.on_owner_gone = owner_gone::lingers}}}};
}

/// What a watcher was told, such as "detached ended:owner".
struct book {
  std::string all;
  session_watcher watcher() {
    return [this](session_state s, const session_end& why) {
      if (!all.empty()) all += ' ';
      all += to_string(s);
      if (s == session_state::ended) (all += ':') += to_string(why.by);
    };
  }
};

}  // namespace

TEST_SUITE_BEGIN("actors/session_owner");

TEST_CASE("an owner that is lost ends what it owns, unless that lingers") {
  session_harness h{types()};
  const auto ends = h.spawn("plain").session, lingers = h.spawn("lingers").session;
  ends.lose_owner();
  h.run();
  CHECK(ends.state() == session_state::detached);  // it had none
  for (const auto& s : {ends, lingers}) s.set_owner();
  h.run();
  CHECK(h.look(ends.id()).has_owner);
  for (const auto& s : {ends, lingers}) s.lose_owner();
  h.run();
  CHECK(ends.why_ended().by == session_ender::owner);
  CHECK(lingers.state() == session_state::detached);
  CHECK_FALSE(h.look(lingers.id()).has_owner);
}

TEST_CASE("a watcher is told each state, and the end once and last, with its reason") {
  session_harness h{types()};
  const auto made = h.spawn();
  book told;
  made.session.watch(told.watcher());
  h.run();
  CHECK(told.all == "detached");
  const auto socket = h.attach(made.session.id(), made.token);
  socket.link->fails();
  h.run();
  CHECK(told.all == "detached attached reconnecting");
  made.session.end("done");
  h.run();
  CHECK(told.all == "detached attached reconnecting ended:application");
  book late;
  made.session.watch(late.watcher());
  h.run();
  CHECK(late.all == "ended:application");
}

TEST_CASE("a ninth watcher is told nothing, and that is logged") {
  session_harness h{types()};
  const auto s = h.spawn().session;
  std::vector<book> told(9);
  for (auto& one : told) s.watch(one.watcher());
  bool more = false;  // these are not even messages
  for (int i = 0; i < 10; ++i) s.watch([&](auto, const auto&) { more = true; });
  h.run();
  s.end();
  h.run();
  for (std::size_t i = 0; i < 8; ++i) CHECK(told[i].all == "detached ended:application");
  CHECK(told[8].all.empty());
  CHECK_FALSE(more);
  CHECK(h.log->count("session.too_many_watchers") == 1);
  book of_none;
  session{}.watch(of_none.watcher());
  CHECK(of_none.all == "ended:application");
}

TEST_SUITE_END();
