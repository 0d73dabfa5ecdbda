#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <caf/send.hpp>
#include <doctest/doctest.h>

#include "actors/session_core.hpp"
#include "tests/actors/session_harness.hpp"

/// The budget over what all sessions keep (limits::max_total_stream_bytes).
using namespace fairlead;
using namespace fairlead::test;
using protocol::limit_hit;

namespace {

struct touchy final : session_behavior {
  void on_message(const session&, const connection&, const message&) override {
    throw std::runtime_error{"told to"};
  }
};

session_types types() {
  const auto make = [](const session&) { return std::make_unique<touchy>(); };
  session_types all;
  all["plain"] = {};
  all["short"] = {.options = {.replay_window = 5s, .attach_timeout = 1min, .max_age = 2min}};
  all["small"] = {.options = {.max_bytes = 2'000}};
  all["few"] = {.options = {.max_messages = 2}};
  all["ends"] = {.behavior = make, .options = {.max_age = 3min}};
  all["restarts"] = {.behavior = make, .options = {.on_failure = behavior_failure::restarts}};
  return all;
}

struct fixture {
  std::shared_ptr<protocol::limit_hits> hits = std::make_shared<protocol::limit_hits>();
  bool tokens_fail = false;
  session_harness h;

  explicit fixture(std::size_t budget = 10'000, std::size_t loops = 2)
      : h{types(), loops, [&](actors::backbone_options& o) {
            o.hits = hits;
            o.logger = nullptr;
            o.limits.max_total_stream_bytes = budget;
            o.limits.max_queued_messages = 8;
            o.make_token = [this, n = 0]() mutable {
              if (tokens_fail) throw std::runtime_error{"no more tokens"};
              return "token-" + std::to_string(++n) + std::string(36, '.');
            };
          }} {}

  /// A session that keeps one event or more.
  spawned_session keeps(const std::string& id, const std::string& type = "plain", int events = 1) {
    auto made = h.spawn(type, {.id = id});
    for (; events > 0; --events) emit(made.session);
    return made;
  }
  /// About 1,000 bytes each, all of the same size.
  emit_result emit(const session& s, std::size_t size = 900) {
    return h.emit(s, std::string(size, '1')).result;
  }
  /// The same, for those whose answer waits for a socket that does not read.
  void emit_only(const session& s, std::size_t size = 900) {
    s.emit("e", std::string(size, '1'));
    h.run();
  }
  [[nodiscard]] std::size_t counted() { return h.backbone->stream_bytes(); }
  /// What the streams themselves say.
  [[nodiscard]] std::size_t kept() {
    std::size_t sum = 0;
    for (const auto& s : h.backbone->sessions()) sum += h.look(s.id()).kept_bytes;
    return sum;
  }
  [[nodiscard]] std::uint64_t kept_by(const std::string& id) { return h.look(id).kept_messages; }
  [[nodiscard]] std::uint64_t dropped() const {
    return hits->count(limit_hit::stream_budget_dropped);
  }
  [[nodiscard]] std::uint64_t refused() const {
    return hits->count(limit_hit::stream_budget_refused);
  }
  void set_budget(std::size_t bytes) {
    auto bounds = h.backbone->limits();
    bounds.max_total_stream_bytes = bytes;
    h.backbone->set_limits(bounds);
  }
};

}  // namespace

TEST_SUITE_BEGIN("actors/stream_budget");

TEST_CASE("within the budget all is kept, and counted as the streams count it") {
  fixture f;
  const auto a = f.keeps("a", "plain", 4), b = f.keeps("b", "plain", 4);
  CHECK(f.kept_by("a") == 4);
  CHECK(f.kept_by("b") == 4);
  CHECK(f.counted() == f.kept());
  CHECK(f.counted() > 8 * 900);
  CHECK(f.dropped() == 0);
  CHECK(f.refused() == 0);
}

TEST_CASE(
    "one session at the budget gives up its own oldest, and its readers are told of the gap") {
  fixture f;
  const auto a = f.keeps("a", "plain", 30);
  CHECK(f.counted() <= 10'000);
  CHECK(f.counted() == f.kept());
  const auto first = f.h.look("a").first_kept;
  CHECK(f.dropped() == first - 1);
  CHECK(f.refused() == 0);
  const auto behind = f.h.attach("a", a.token, first - 2);
  CHECK_FALSE(behind.recovered());
  CHECK(number_in(behind.hello(), "offset") == 30);
  CHECK(f.h.attach("a", behind.token(), first - 1).recovered());
}

TEST_CASE(
    "a socket that reads more slowly than the budget lets its stream keep is closed with 3008") {
  fixture f;
  const auto a = f.h.spawn("plain", {.id = "a"});
  const auto slow = f.h.attach("a", a.token, 0, {}, 0, 0);
  for (int i = 0; i < 40; ++i) f.emit_only(a.session);
  slow.link->kernel_takes(SIZE_MAX / 2);
  f.h.run();
  CHECK(slow.closed_with() == close_code::slow_consumer);
  CHECK(f.dropped() > 0);
  const auto seen = slow.offsets();
  for (std::size_t i = 0; i < seen.size(); ++i) CHECK(seen[i] == i + 1);
}

TEST_CASE("many sessions on several loops: each emit costs its own session, never another") {
  fixture f{10'000, 3};
  const auto big = f.keeps("big", "plain", 6);
  const auto one = f.keeps("one"), two = f.keeps("two"), three = f.keeps("three");
  for (int i = 0; i < 10; ++i) {
    CHECK(f.emit(one.session) == emit_result::kept);
    CHECK(f.emit(two.session) == emit_result::kept);
    CHECK(f.kept_by("big") == 6);
    CHECK(f.kept_by("three") == 1);
    CHECK(f.counted() <= 10'000);
    CHECK(f.counted() == f.kept());
  }
  CHECK(f.refused() == 0);
}

TEST_CASE(
    "refused where even with nothing else kept there is no room: overflow, and nothing changes") {
  fixture f;
  const auto big = f.keeps("big", "plain", 8), small = f.keeps("small");
  const auto socket = f.h.attach("small", small.token);
  const auto before = f.h.look("small");
  const auto counted = f.counted();
  CHECK(f.emit(small.session, 5'000) == emit_result::overflow);
  emit_options how{.acked = true, .key = "k"};
  CHECK(f.h.emit(small.session, std::string(5'000, '1'), how) ==
        emit_report{emit_result::overflow});
  const auto after = f.h.look("small");
  CHECK(after.offset == before.offset);
  CHECK(after.kept_messages == before.kept_messages);
  CHECK(after.kept_bytes == before.kept_bytes);
  CHECK(f.counted() == counted);
  CHECK(socket.offsets() == std::vector<std::uint64_t>{1});
  CHECK(f.refused() == 2);
  CHECK(f.dropped() == 0);
  const auto& refused = f.h.backbone->session_types();
  CHECK(std::ranges::any_of(refused, [](const auto& type) {
    return type->counts.refused[static_cast<std::size_t>(emit_result::overflow)] == 2;
  }));
  // Its key is not taken: the same again once there is room.
  big.session.end();
  f.h.run();
  CHECK(f.h.emit(small.session, std::string(5'000, '1'), {.key = "k"}) ==
        emit_report{emit_result::written, 2});
}

TEST_CASE("the budget is meant to the byte: what fills it is kept, and one byte less refuses it") {
  fixture f;
  const auto a = f.keeps("a");
  f.set_budget(f.counted());
  CHECK(f.emit(a.session) == emit_result::kept);
  CHECK(f.kept_by("a") == 1);
  f.set_budget(f.counted() - 1);
  CHECK(f.emit(a.session) == emit_result::overflow);
  CHECK(f.h.look("a").offset == 2);
  CHECK(f.kept_by("a") == 1);
}

TEST_CASE("a session that keeps nothing gets in when others have given back, not before") {
  fixture f;
  f.keeps("big", "short", 10);
  const auto late = f.h.spawn("plain", {.id = "late"});
  CHECK(f.emit(late.session) == emit_result::overflow);
  CHECK(f.h.look("late").offset == 0);
  f.h.advance(6s);
  CHECK(f.counted() == 0);
  CHECK(f.emit(late.session) == emit_result::kept);
}

TEST_CASE("what a stream's own bounds drop is not counted as given up early") {
  fixture f;
  f.keeps("big", "plain", 8);
  f.keeps("few", "few", 10);  // with two of it the budget is full
  CHECK(f.kept_by("few") == 2);
  CHECK(f.dropped() == 0);
  CHECK(f.refused() == 0);
  CHECK(f.counted() == f.kept());
}

TEST_CASE("given back: by age, at the time and when somebody attaches") {
  fixture f;
  const auto a = f.keeps("a", "short", 3);
  CHECK(f.counted() > 0);
  f.h.advance(6s);
  CHECK(f.counted() == 0);
  f.emit(a.session);
  for (auto& l : f.h.loops) l->pass(6s);  // its timer has not had its turn
  const auto c = f.h.attach("a", a.token, 3);
  CHECK_FALSE(c.recovered());
  CHECK(f.counted() == 0);
}

TEST_CASE("given back at the end, whatever ends it, and though its handle is kept") {
  struct way {
    const char* name;
    session_ender by;
    void (*end)(fixture&, const session&, session_socket&);
  };
  for (const auto& w : std::vector<way>{
           {"asked", session_ender::application,
            [](fixture&, const session&s, session_socket&) { s.end(); }},
           {"its owner is gone", session_ender::owner,
            [](fixture&, const session&s, session_socket&) {
              s.set_owner();
              s.lose_owner();
            }},
           {"its behaviour throws", session_ender::behavior,
            [](fixture&, const session&, session_socket&c) { c.link->peer_sends("throw"); }},
           {"killed", session_ender::behavior,
            [](fixture&, const session&s, session_socket&) {
              caf::anon_send_exit(caf::actor_cast<caf::actor>(s.core()->actor),
                                  caf::exit_reason::kill);
            }},
           {"a handler of its own throws", session_ender::behavior,
            [](fixture&f, const session&s, session_socket&) {
              f.tokens_fail = true;
              s.issue_token([](const std::string&) {});
            }},
           {"nobody comes back", session_ender::abandoned,
            [](fixture&f, const session&, session_socket&c) {
              c.link->fails();
              f.h.advance(session_options{}.resume_window + 1s);
            }},
           {"its age", session_ender::age,
            [](fixture&f, const session&, session_socket&) { f.h.advance(3min + 1s); }},
       }) {
    CAPTURE(w.name);
    fixture f;
    const auto a = f.keeps("a", "ends", 4);
    auto slow = f.h.attach("a", a.token, 0, {}, 1, 0);
    CHECK(f.counted() > 0);
    w.end(f, a.session, slow);
    f.h.run();
    CHECK(a.session.why_ended().by == w.by);
    CHECK(f.counted() == 0);
  }
}

TEST_CASE("given back by those to whom nobody came, and by all when the server stops") {
  fixture f;
  f.keeps("alone", "short", 2);
  f.h.advance(62s);
  CHECK(f.h.backbone->session_count() == 0);
  CHECK(f.counted() == 0);
  f.keeps("a", "plain", 2);
  f.keeps("b", "plain", 2);
  CHECK(f.counted() == f.kept());
  f.h.backbone->stop(1s, close_code::going_away, "", [](auto) {});
  f.h.run();
  CHECK(f.h.backbone->session_count() == 0);
  CHECK(f.counted() == 0);
}

TEST_CASE("a restart keeps the stream, and its bytes stay counted") {
  fixture f;
  const auto a = f.keeps("a", "restarts", 4);
  const auto c = f.h.attach("a", a.token);
  const auto before = f.counted();
  c.link->peer_sends("throw");
  f.h.run();
  CHECK(f.h.look("a").restarts == 1);
  CHECK(f.kept_by("a") == 4);
  CHECK(f.counted() == before);
}

TEST_CASE("a budget that becomes smaller cuts nobody's stream until that session emits") {
  fixture f;
  const auto a = f.keeps("a", "plain", 4), b = f.keeps("b", "plain", 4);
  f.set_budget(5'000);
  CHECK(f.kept() == f.counted());
  CHECK(f.kept_by("b") == 4);
  CHECK(f.emit(a.session) == emit_result::kept);
  CHECK(f.kept_by("a") == 1);
  CHECK(f.kept_by("b") == 4);
  CHECK(f.counted() <= 5'000);
  f.set_budget(20'000);
  CHECK(f.emit(a.session) == emit_result::kept);
  CHECK(f.kept_by("a") == 2);
}

TEST_CASE(
    "any order of emitting, waiting, attaching and ending: the sum is the streams', within the "
    "budget, and in the end 0") {
  std::uint64_t dropped = 0, refused = 0;
  for (std::uint32_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    fixture f{5'000 + random() % 5'000, 1 + seed % 3};
    std::vector<spawned_session> all;
    const std::vector<std::string> names{"plain", "short", "small", "few", "ends", "restarts"};
    for (int step = 0; step < 150; ++step) {
      if (all.size() < 8) all.push_back(f.h.spawn(names[random() % names.size()]));
      auto& s = all[random() % all.size()];
      switch (random() % 12) {
      case 0: f.h.advance(std::chrono::milliseconds{random() % 2'000}); break;
      case 1: f.h.attach(s.session.id(), s.token).link->peer_sends("throw"); break;
      case 2: s.session.end(); break;
      case 3: f.h.attach(s.session.id(), s.token, random() % 4, {}, 0, 0); break;
      default: f.emit_only(s.session, random() % 1'500);
      }
      f.h.run();
      REQUIRE(f.counted() == f.kept());
      REQUIRE(f.counted() <= f.h.backbone->limits().max_total_stream_bytes);
      if (s.session.state() == session_state::ended) s = f.h.spawn("plain");
    }
    for (const auto& s : all) s.session.end();
    f.h.run();
    CHECK(f.counted() == 0);
    dropped += f.dropped();
    refused += f.refused();
  }
  CHECK(dropped > 100);
  CHECK(refused > 100);
}

TEST_SUITE_END();
