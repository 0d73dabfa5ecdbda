#include <map>
#include <random>

#include <doctest/doctest.h>

#include <fairlead/caf/actors.hpp>

#include "actors/caf.hpp"
#include "tests/actors/harness.hpp"
#include "tests/actors/scribe.hpp"

using namespace fairlead;
using namespace fairlead::test;

namespace {

/// What must hold of any connection, whatever happened to it.
void check_wire(const harness::client& c) { CHECK(ends_at_its_close(c.link->sent)); }

// --- the seeded game ------------------------------------------------------------------------------------------------

/// One round: a few connections, and things that happen to them in an order that the seed decides, with any number of
/// turns of any loop in between. Then everything ends, and the books must balance.
class game {
 public:
  game(harness& h, std::uint32_t seed) : h_(h), random_(seed) {}

  void play() {
    const auto steps = 5 + pick(40);
    for (std::size_t i = 0; i < steps; ++i) step();
    end();
    check();
  }

 private:
  std::size_t pick(std::size_t n) { return random_() % n; }
  bool often() { return pick(3) > 0; }
  harness::client& any() { return h_.clients[pick(h_.clients.size())]; }
  close_code any_code() { return pick(8) == 0 ? close_code::abnormal : close_code::normal; }
  std::string any_user() { return std::string(1, static_cast<char>('a' + pick(2))); }

  void connect() {
    auto link = std::make_shared<fake_link>();
    const auto loop = pick(h_.loops.size());
    auto c = h_.backbone->connect(loop, link, {"p", pick(2) ? any_user() : "", "/"});
    if (pick(4) == 0) link->room = pick(200);
    if (often()) link->upgrade();
    h_.clients.push_back({std::move(c), std::move(link)});
  }

  /// A text that is sent once in a round, so that it can be found on the wire.
  message next_text(std::string kind) {
    texts_.push_back(std::move(kind) + std::to_string(texts_.size()));
    return message::text(texts_.back());
  }

  void send() {
    auto& c = any();
    auto what = next_text("s");
    auto told = [this, text = texts_.back(), link = c.link](send_result r) {
      fates_[text].push_back({r, link});
    };
    asked_.push_back(texts_.back());
    const auto how = some_options();
    if (pick(4))
      c.handle.send(what, how, told);
    else
      h_.backbone->send(c.id(), what, how, told);
  }

  void broadcast() {
    std::vector<connection_id> except;
    if (pick(3) == 0) except.push_back(any().id());
    auto how = some_options();
    if (pick(2)) {
      h_.backbone->broadcast(next_text("b"), except, how, nullptr);
    } else {
      how.refused_ids = pick(3);
      h_.backbone->broadcast(next_text("b"), except, how, summaries_.next());
    }
  }

  /// Mostly the ordinary.
  send_options some_options() {
    send_options how;
    switch (pick(8)) {
    case 0: how.ttl = std::chrono::milliseconds{pick(300)}; break;
    case 1: how.policy = static_cast<slow_policy>(pick(4)); break;
    case 2: how.key = std::string(1, static_cast<char>('k' + pick(2))); break;
    default: break;
    }
    return how;
  }

  void close() {
    switch (pick(4)) {
    case 0: return h_.backbone->close_user(any_user(), any_code(), {}, counts_.next());
    case 1: return h_.backbone->remove(any().id(), any_code(), {}, closes_.next());
    default: return any().handle.close(any_code(), "enough", closes_.next());
    }
  }

  void happen_to_link() {
    auto& link = *any().link;
    switch (pick(8)) {
    case 0: return link.peer_closes(close_code::going_away);
    case 1: return link.violates(close_code::protocol_error, "nonsense");
    case 2: return link.fails();
    case 3: return link.upgrade();
    case 4:
      if (link.waits_for_peer()) link.closing_handshake_done();
      return;
    case 5: return link.kernel_takes(pick(100));
    default: return link.peer_sends(pick(10) ? "hello" : "throw");
    }
  }

  void step() {
    if (h_.clients.empty()) return connect();
    switch (pick(16)) {
    case 0: return connect();
    case 1:
    case 2:
    case 3: return send();
    case 4:
    case 5: return broadcast();
    case 6: h_.backbone->send_to_user(any_user(), next_text("u"), summaries_.next()); return;
    case 7: return close();
    case 8:
    case 9:
    case 10: return happen_to_link();
    case 11:
      if (pick(6) == 0) caf::anon_send_exit(actor_of(any().handle), caf::exit_reason::kill);
      return;
    case 12:
      if (pick(6) == 0) h_.advance(std::chrono::milliseconds{pick(200)});
      return;
    case 13: return h_.backbone->take_connections(50ms, snapshots_.next());
    default:
      for (auto turns = pick(4); turns > 0; --turns) h_.loops[pick(h_.loops.size())]->turn();
      h_.side->turn();
    }
  }

  void end() {
    h_.run();
    for (auto& c : h_.clients) {
      c.link->upgrade();
      c.handle.close(close_code::normal, {}, closes_.next());
    }
    h_.run();
    h_.peers_answer();
    // Who does not answer, or did not take its Close: once more for who took something lately.
    h_.advance(2 * h_close_timeout + 100ms);
  }

  void check() {
    CHECK(h_.backbone->connection_count() == 0);
    for (const auto& c : h_.clients) {
      check_wire(c);
      CHECK_FALSE(c.link->has_observer());
      CHECK(c.link->queued_bytes() == 0);
    }
    CHECK(fates_.size() == asked_.size());
    for (const auto& [text, fate] : fates_) check_fate(text, fate);
    CHECK(closes_.once_each());
    CHECK(counts_.once_each());
    CHECK(summaries_.once_each());
    CHECK(snapshots_.once_each());
    for (const auto& s : summaries_.list()) {
      CHECK(s.addressed() <= std::max<std::size_t>(1, h_.clients.size()));
      CHECK(s.refused_ids.size() <= std::min<std::size_t>(2, s.refused()));
    }
    for (std::size_t i = 0; i < h_.loops.size(); ++i) CHECK(h_.loops[i]->timers() <= 2);
  }

  struct fate {
    send_result result;
    std::shared_ptr<fake_link> link;
  };
  void check_fate(const std::string& text, const std::vector<fate>& all) {
    CAPTURE(text);
    REQUIRE(all.size() == 1);
    const auto texts = texts_in(all[0].link->sent);
    const auto times = std::ranges::count(texts, text);
    CHECK(times == (all[0].result == send_result::written ? 1 : 0));
  }

  static constexpr auto h_close_timeout = 200ms;
  harness& h_;
  std::mt19937 random_;
  std::vector<std::string> texts_, asked_;
  std::map<std::string, std::vector<fate>> fates_;
  answers<close_result> closes_;
  answers<std::size_t> counts_;
  answers<broadcast_summary> summaries_;
  answers<server_snapshot> snapshots_;

 public:
  static constexpr auto close_timeout = h_close_timeout;
};

}  // namespace

TEST_SUITE_BEGIN("actors/races");

// --- the four scenarios of the system this replaces -----------------------------------------------------------------

TEST_CASE("concurrent send and close: what is before the close is written, what is behind it is "
          "refused") {
  for (int before = 0; before <= 5; ++before) {
    CAPTURE(before);
    harness h;
    auto c = h.open();
    answers<send_result> sent;
    answers<close_result> closes;
    for (int i = 0; i < before; ++i) c.handle.send(message::text("before"), sent.next());
    c.handle.close(close_code::normal, {}, closes.next());
    for (int i = before; i < 5; ++i) c.handle.send(message::text("behind"), sent.next());
    h.run();
    CHECK(sent.once_each());
    CHECK(sent.count(send_result::written) == static_cast<std::size_t>(before));
    CHECK(sent.count(send_result::closing) == static_cast<std::size_t>(5 - before));
    CHECK(closes.list() == std::vector{close_result::initiated});
    check_wire(c);
    CHECK(c.texts() == std::vector<std::string>(static_cast<std::size_t>(before), "before"));
  }
}

TEST_CASE("a send on a closing connection, whoever closes it, never follows the Close frame") {
  const std::map<std::string, std::function<void(harness&, harness::client&)>> ways{
      {"we", [](auto&, auto& c) { c.handle.close(); }},
      {"by id", [](auto& h, auto& c) { h.backbone->remove(c.id(), close_code::normal, {}, {}); }},
      {"the peer", [](auto&, auto& c) { c.link->peer_closes(close_code::normal); }},
      {"a violation", [](auto&, auto& c) { c.link->violates(close_code::protocol_error, "x"); }}};
  for (const auto& each : ways) {
    const auto& way = each.first;  // no structured binding: clang 14 cannot capture one
    for (std::size_t turns = 0; turns < 4; ++turns) {
      CAPTURE(way);
      CAPTURE(turns);
      harness h;
      auto c = h.open();
      each.second(h, c);
      for (std::size_t i = 0; i < turns; ++i) h.loops[0]->turn();
      answers<send_result> sent;
      for (int i = 0; i < 3; ++i) c.handle.send(message::text("x"), sent.next());
      h.run();
      CHECK(sent.once_each());
      check_wire(c);
      if (way != "by id" || turns == 3) CHECK(sent.count(send_result::closing) == 3);
    }
  }
}

TEST_CASE("the second gate: the transport answered the peer's Close before the actor heard of it") {
  harness h;
  auto c = h.open();
  answers<send_result> sent;
  c.handle.send(message::text("in the mailbox"), sent.next());
  c.link->peer_closes(close_code::going_away);  // seals the wire; its report is behind the send
  c.handle.send(message::text("behind"), sent.next());
  h.run();
  CHECK(sent.list() == std::vector(2, send_result::closing));
  CHECK(c.texts().empty());
  check_wire(c);
  const auto s = h.snapshot(c);
  CHECK(s.queued_messages == 0);
  CHECK(s.queued_bytes == 0);
  CHECK(s.counts.outcomes[static_cast<std::size_t>(send_result::closing)] == 2);
}

TEST_CASE("the second gate: the socket broke before the actor heard of it; nobody said Close") {
  harness h;
  auto c = h.open();
  answers<send_result> sent;
  c.handle.send(message::text("in the mailbox"), sent.next());
  c.link->fails();
  c.handle.send(message::text("behind"), sent.next());
  h.run();
  CHECK(sent.list() == std::vector(2, send_result::failed));
}

TEST_CASE("the manager sends while a connection closes: broadcast, send by id, send to user") {
  for (std::size_t turns = 0; turns < 6; ++turns) {
    CAPTURE(turns);
    harness h{2};
    auto leaving = h.open("ada", 0), staying = h.open("ada", 1);
    answers<close_result> closes;
    leaving.handle.close(close_code::normal, {}, closes.next());
    for (std::size_t i = 0; i < turns; ++i) h.loops[i % 2]->turn();
    answers<send_result> sent;
    answers<broadcast_summary> summaries;
    h.backbone->broadcast(message::text("to all"), {}, summaries.next());
    h.backbone->send(leaving.id(), message::text("to the id"), sent.next());
    h.backbone->send_to_user("ada", message::text("to the user"), summaries.next());
    h.run();
    check_wire(leaving);
    CHECK(leaving.texts().empty());
    CHECK(sent.list() == std::vector{send_result::closing});
    CHECK(closes.list() == std::vector{close_result::initiated});
    REQUIRE(summaries.once_each());
    for (const auto& s : summaries.list()) {
      CHECK(s.count(send_result::written) == 1);
      CHECK(s.count(send_result::closing) == 1);
    }
    CHECK(staying.texts().size() == 2);
  }
}

TEST_CASE("every state transition during the race: a send and a close at each turn of a "
          "connection's life") {
  harness h;
  auto link = std::make_shared<fake_link>();
  answers<send_result> sent;
  answers<close_result> closes;
  const auto c = h.backbone->connect(0, link, {"p", {}, "/"});
  const auto try_everything = [&] {
    c.send(message::text("x"), sent.next());
    h.backbone->send(c.id(), message::text("y"), sent.next());
    h.backbone->broadcast(message::text("z"), {});
    c.close(close_code::abnormal, {}, closes.next());  // refused, so that the life goes on
  };
  const std::vector<std::function<void()>> life{
      [&] { link->upgrade(); },
      [&] { c.close(close_code::normal, "enough", closes.next()); },
      [&] { link->peer_closes(close_code::normal); },
      [&] { link->closing_handshake_done(); },
  };
  for (const auto& next : life) {
    try_everything();
    next();
    do try_everything();
    while (h.loops[0]->turn() && sent.asked() < 200);
    h.run();
  }
  try_everything();
  h.run();
  CHECK(sent.once_each());
  CHECK(closes.once_each());
  CHECK(ends_at_its_close(link->sent));
  CHECK(closes.count(close_result::initiated) == 1);
  for (const auto r : {send_result::connecting, send_result::accepted, send_result::written,
                       send_result::closing, send_result::closed})
    CHECK(sent.count(r) > 0);
  CHECK(h.log->count("connection.closed") == 1);
}

// --- any order of anything ------------------------------------------------------------------------------------------

TEST_CASE("any order of anything: nothing after a Close, one outcome for each send, one answer for "
          "each close") {
  constexpr std::uint32_t rounds_per_backbone = 50, backbones = 40;
  for (std::uint32_t b = 0; b < backbones; ++b) {
    scribe_book own, shared;
    harness h{1 + b % 2, [&](actors::backbone_options& o) {
                o.limits.max_queued_messages = 8;
                o.limits.max_queued_bytes = 120;
                o.limits.max_unhandled_messages = 2;
                o.limits.slow_consumers = static_cast<slow_policy>(b / 2 % 4);
                o.limits.close_timeout = game::close_timeout;
                o.user_linger = 100ms;
                o.logger = nullptr;
                if (b % 3) o.per_user = shared.per_user();
                if (b % 5) o.per_connection = own.per_connection();
              }};
    for (std::uint32_t r = 0; r < rounds_per_backbone; ++r) {
      const auto seed = b * rounds_per_backbone + r;
      CAPTURE(seed);
      game{h, seed}.play();
      h.clients.clear();
      own.lines.clear();
      h.opened.clear();
    }
    h.stop();
    CHECK(own.alive + shared.alive == 0);
  }
}

TEST_SUITE_END();
