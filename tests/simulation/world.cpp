#include "tests/simulation/world.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <caf/send.hpp>
#include <fmt/format.h>

#include <fairlead/caf/actors.hpp>

namespace fairlead::simulation {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t most_links = 24, most_sessions = 5, most_readers_each = 3;

/// Throws when a client tells it to.
struct touchy final : session_behavior {
  void on_message(const session& s, const connection&, const message& m) override {
    if (m.view() == "throw") throw std::runtime_error{"told to"};
    if (m.view() == "timer") s.start_timer("t", 50ms);
  }
  void on_timer(const session&, const std::string&) override {}
};
struct nervous final : behavior {
  void received(const connection& from, const message& m) override {
    if (m.view() == "throw") throw std::runtime_error{"told to"};
    if (m.view() == "bye") from.close();
  }
};

/// Whether others make way in a full queue for what is sent so.
bool make_way_for(const send_options& how, slow_policy usual) {
  const auto policy = how.policy.value_or(how.key.empty() ? usual : slow_policy::keep_latest);
  return policy == slow_policy::drop_oldest || policy == slow_policy::keep_latest;
}

session_types types() {
  const auto make = [](const session&) { return std::make_unique<touchy>(); };
  session_types all;
  all["takes_over"] = {.options = {.max_messages = 6, .resume_window = 3s}};
  all["joins"] = {.options = {.max_messages = 20,
                              .replay_window = 2s,
                              .on_second_socket = second_socket::joins,
                              .max_sockets = 2,
                              .on_owner_gone = owner_gone::lingers,
                              .max_inbox = 4}};
  all["ends"] = {.behavior = make, .options = {.attach_timeout = 2s}};
  all["restarts"] = {.behavior = make,
                     .options = {.on_failure = behavior_failure::restarts, .max_restarts = 2}};
  return all;
}

}  // namespace

totals& totals::operator+=(const totals& o) {
  steps += o.steps;
  links += o.links;
  messages += o.messages;
  written += o.written;
  sessions += o.sessions;
  events += o.events;
  attaches += o.attaches;
  return *this;
}

world::world(std::uint64_t seed, bool traces) : random_(seed), traces_(traces) {
  const auto loops = 1 + below(3);
  policy_ = static_cast<slow_policy>(below(4));
  const auto adjust = [&](actors::backbone_options& o) {
    change(o.limits);
    o.compress = [](const message& m) { return test::without_padding(m.frame()).beside(m); };
    o.limits.max_unhandled_messages = 3;
    o.limits.max_sessions = most_sessions;
    o.limits.close_timeout = 500ms;
    o.limits.slow_consumers = policy_;
    if (chance(30))
      o.limits.max_total_queued_bytes = most_queued_by_all_ =
          most_queued_ + below(3 * most_queued_);
    if (chance(20)) o.limits.max_pending_broadcasts = 4;
    if (chance(30)) o.limits.max_total_stream_bytes = most_kept_ = 300 + below(2'000);
    o.user_linger = 200ms;
    if (!traces_) o.logger = nullptr;
    if (chance(30))
      o.per_connection = [](const connection&) { return std::make_unique<nervous>(); };
    has_user_behaviors_ = chance(30);
    if (has_user_behaviors_)
      o.per_user = [](const std::string&) { return std::make_unique<nervous>(); };
    o.on_open = [this](const connection& c) { ++find(c.id())->opened; };
    o.on_close = [this](const connection& c, const close_info& why) {
      find(c.id())->closes.push_back(why.reason);
    };
    if (chance(50))
      o.on_message = [this](const connection& from, const message& m) {
        if (m.view() == "hello") echo(from);
      };
    o.make_token = [this] { return fmt::format("{:016x}{:027x}", random_(), random_()); };
  };
  harness_ = std::make_unique<test::session_harness>(types(), loops, adjust);
  note("{} loops, queues of {} bytes, {}", loops, most_queued_, to_string(policy_));
}

/// Those on messages and queues: for connections that come from now on, and for what is emitted from now on.
void world::change(limits& l) {
  l.max_queued_messages = most_messages_ =
      chance(20) ? static_cast<std::uint32_t>(1 + below(3)) : (chance(50) ? 6 : 40);
  l.max_queued_bytes = most_queued_ = chance(50) ? 4'000 : 400 + below(600);
  l.max_send_size = chance(50) ? 1'000 : 400 + below(600);
}

void world::reload() {
  auto now = harness_->backbone->limits();
  change(now);
  note("now queues hold {} messages and {} bytes, a message {}", now.max_queued_messages,
       now.max_queued_bytes, now.max_send_size);
  harness_->backbone->set_limits(now);
}

totals world::run(std::size_t steps, const std::function<void(std::uint64_t)>& before_step) {
  const auto is_over = [&] { return stops_ && summaries_.back(); };
  for (step_ = 0; step_ < steps && !is_over(); ++step_) {
    if (before_step) before_step(step_);
    step();
    check();
  }
  finish();
  totals t{.steps = step_,
           .links = peers_.size(),
           .messages = ledger_.size(),
           .written = ledger_.written(),
           .sessions = sessions_.size()};
  for (const auto& s : sessions_) t.events += s.at.size();
  for (const auto& r : readers_) t.attaches += r.attaches();
  return t;
}

void world::step() {
  struct choice {
    unsigned weight;
    const char* name;
    void (world::*what)();
  };
  static constexpr std::array<choice, 21> all{{
      {40, "turn loops", &world::turn_loops},
      {5, "connect", &world::connect},
      {6, "upgrade", &world::upgrade},
      {6, "peer speaks", &world::peer_speaks},
      {12, "peer reads", &world::peer_reads},
      {3, "peer leaves", &world::peer_leaves},
      {12, "send", &world::send},
      {3, "broadcast", &world::broadcast},
      {2, "close", &world::close},
      {1, "kill", &world::kill},
      {3, "time passes", &world::time_passes},
      {6, "time creeps", &world::time_creeps},
      {1, "reload", &world::reload},
      {2, "spawn", &world::spawn},
      {14, "emit", &world::emit},
      {7, "attach", &world::attach},
      {1, "end session", &world::end_session},
      {2, "reads inbox", &world::reads_inbox},
      {1, "goes down", &world::goes_down},
      {4, "send to user", &world::send_to_user},
      {1, "close user", &world::close_user},
  }};
  unsigned sum = 0;
  for (const auto& c : all) sum += c.weight;
  auto left = below(sum);
  for (const auto& c : all) {
    if (left < c.weight) {
      note("- {}", c.name);
      return (this->*c.what)();
    }
    left -= c.weight;
  }
}

// --- the machine ----------------------------------------------------------------------------------------------------

/// Some turns of some loops, in any order: the scheduler.
void world::turn_loops() {
  if (chance(10)) {
    note("all that there is to run");
    return everything_runs();
  }
  for (auto n = 1 + below(6); n > 0; --n) {
    const auto at = below(harness_->loops.size() + 1);
    note("a turn of loop {}", at);
    static_cast<void>(at == harness_->loops.size() ? harness_->side->turn()
                                                   : harness_->loops[at]->turn());
  }
}

void world::time_passes() {
  const auto by = chance(80) ? std::chrono::milliseconds{1 + below(60)}
                             : std::chrono::milliseconds{100 + below(2'500)};
  note("{} ms pass", by.count());
  harness_->advance(by);
  notice_ends();
}

void world::everything_runs() {
  harness_->run();
  notice_ends();
}

/// Nothing is left to run: so all have heard of it.
void world::notice_ends() {
  for (auto& p : peers_) p->forgotten |= !p->seen.link().has_observer();
}

/// On busy loops: what becomes due is behind, or ahead of, what waits and what comes; and some loops stand still.
void world::time_creeps() {
  const auto creep = [this](test::test_loop& loop) {
    chance(70) ? loop.tick() : loop.pass(protocol::timer_wheel::tick);
  };
  for (auto n = 1 + below(10); n > 0; --n) {
    for (auto& loop : harness_->loops) creep(*loop);
    creep(*harness_->side);
  }
}

// --- sockets --------------------------------------------------------------------------------------------------------

world::peer* world::some_peer() {
  for (int tries = 0; tries < 4 && !peers_.empty(); ++tries) {
    auto& p = peers_[peers_.size() - 1 - below(std::min(peers_.size(), most_links))];
    if (!p->gone) return p.get();
  }
  return nullptr;
}

world::peer* world::find(connection_id id) const {
  const auto at = std::ranges::find_if(peers_, [&](const auto& p) { return p->handle.id() == id; });
  return at == peers_.end() ? nullptr : at->get();
}

/// Of those that are said to have refused.
std::vector<std::size_t> world::links_of(const broadcast_summary& s) const {
  std::vector<std::size_t> links;
  for (const auto& refused : s.refused_ids)
    if (const auto* const p = find(refused.id)) links.push_back(p->seen.number());
  return links;
}

std::size_t world::begin_link(std::string user, std::size_t reader,
                              std::unique_ptr<protocol::attach_request> attach) {
  auto link = std::make_shared<test::fake_link>();
  link->room = chance(60) ? SIZE_MAX : below(200);
  link->compresses_padding = chance(25);
  const auto loop = below(harness_->loops.size());
  const auto number = peers_.size();
  note("link {} of {} on loop {}, room for {}", number, user.empty() ? "nobody" : user, loop,
       link->room == SIZE_MAX ? "all" : std::to_string(link->room));
  actors::connection_seed seed{"127.0.0.1:5", user, "/ws", {}, std::move(attach)};
  auto handle = harness_->backbone->connect(loop, link, std::move(seed));
  peers_.push_back(std::make_shared<peer>(peer{.seen = observed_link{number, std::move(link)},
                                               .handle = std::move(handle),
                                               .reader = reader,
                                               .most_queued = most_queued_,
                                               .most_messages = most_messages_,
                                               .user = std::move(user)}));
  return number;
}

void world::connect() {
  const auto living = std::ranges::count_if(peers_, [](const auto& p) { return !p->gone; });
  if (static_cast<std::size_t>(living) >= most_links) return;
  begin_link(some_user(), SIZE_MAX, nullptr);
}

void world::upgrade() {
  for (auto& p : peers_)
    if (!p->gone && p->seen.link().has_observer() && chance(50)) {
      note("link {} is upgraded, if it was not", p->seen.number());
      p->seen.link().upgrade();
    }
}

void world::peer_speaks() {
  auto* const p = some_peer();
  if (!p || !p->seen.link().reading) return;
  std::string text{chance(5) ? "throw" : chance(5) ? "bye" : chance(10) ? "timer" : "hello"};
  if (p->reader != SIZE_MAX && chance(50)) {
    auto& r = readers_[p->reader];
    const auto offset = chance(10) ? r.last() + 5 : r.last();
    auto& s = sessions_[r.session()];
    s.highest_ack = std::max(s.highest_ack, offset);
    text = fmt::format("{{\"ack\":{}}}", offset);
  }
  note("peer {} says {}", p->seen.number(), text);
  p->seen.link().peer_sends(text);
}

void world::peer_reads() {
  auto* const p = some_peer();
  if (!p) return;
  auto& link = p->seen.link();
  const auto much = chance(50) ? SIZE_MAX : link.queued_bytes();  // from now on all; or once
  const auto bytes = chance(10) ? much : below(300);
  note("peer {} reads {} bytes", p->seen.number(), bytes);
  link.kernel_takes(bytes);
}

void world::peer_leaves() {
  auto* const p = some_peer();
  if (!p) return;
  auto& link = p->seen.link();
  const auto how = below(5);
  note("peer {} {}", p->seen.number(),
       std::array{"closes", "resets", "breaks the protocol", "passes a limit", "answers"}[how]);
  if (how == 0) link.peer_closes(close_code::going_away, "bye");
  if (how == 1) link.fails();
  if (how == 2) link.violates(close_code::protocol_error, "nonsense");
  if (how == 3) link.passes_limit(close_code::policy_violation, "too much");
  for (auto& other : peers_)
    if (how == 4 && other->seen.link().waits_for_peer()) {
      other->answered = true;
      other->seen.link().closing_handshake_done();
    }
}

// --- what the application does --------------------------------------------------------------------------------------

send_options world::some_options() {
  send_options how;
  if (chance(15)) how.ttl = std::chrono::milliseconds{below(100)};
  if (chance(15)) how.policy = static_cast<slow_policy>(below(4));
  if (chance(10)) how.key = "k";
  if (how.policy && *how.policy != slow_policy::keep_latest) how.key.clear();
  return how;
}

void world::send() {
  auto* const p = some_peer();
  if (!p || p->reader != SIZE_MAX) return;
  const auto how = some_options();
  const bool reports = chance(80);
  const auto by_id = chance(20);
  auto text = ledger_.begin({.by = by_id ? way::id : way::handle,
                             .link = p->seen.number(),
                             .others_make_way = make_way_for(how, policy_),
                             .reports = reports},
                            below(chance(5) ? 1'200 : 120));
  note("message {} to {}, {} bytes", ledger_.last(), p->seen.number(), text.size());
  send_callback done;
  if (reports) done = [this, m = ledger_.last()](send_result r) { settled(m, r); };
  auto what = message::text(std::move(text));
  if (by_id)
    harness_->backbone->send(p->handle.id(), std::move(what), how, std::move(done));
  else
    p->handle.send(std::move(what), how, std::move(done));
}

void world::settled(std::size_t message, send_result r) {
  note("message {} is {}", message, to_string(r));
  promised([&] { ledger_.settled(message, r); });
}

/// From a handler, which runs inside of an actor: as ordered with what was sent from outside.
void world::echo(const connection& to) {
  const auto at = std::ranges::find_if(peers_, [&](const auto& p) { return p->handle == to; });
  if (at == peers_.end()) return;
  auto text = ledger_.begin(
      {.link = (*at)->seen.number(), .others_make_way = make_way_for({}, policy_)}, below(40));
  note("message {} to {}, an echo", ledger_.last(), (*at)->seen.number());
  to.send(message::text(std::move(text)),
          [this, m = ledger_.last()](send_result r) { settled(m, r); });
}

/// Often several, which are folded on their way unless somebody asks what becomes of them.
void world::broadcast() {
  for (auto n = chance(50) ? 1 : 1 + below(5); n > 0; --n) broadcast_once();
}

void world::broadcast_once() {
  auto how = chance(50) ? some_options() : send_options{};
  const bool reports = chance(50);
  if (reports && chance(30)) how.refused_ids = 1 + below(3);
  sent what{.by = way::broadcast, .reports = reports, .most_named = how.refused_ids};
  std::vector<connection_id> except;
  for (auto n = chance(30) ? 1 + below(3) : 0; n > 0; --n) {
    const auto* const p = some_peer();
    if (!p || !what.except.insert(p->seen.number()).second) continue;
    except.push_back(p->handle.id());
  }
  auto text = ledger_.begin(std::move(what), below(chance(5) ? 1'200 : 80));
  const auto m = ledger_.last();
  note("broadcast {}{}, {} bytes, but to {}", m, reports ? "" : " that nobody asks after",
       text.size(), except.size());
  broadcast_callback done;
  if (reports)
    done = [this, m](const broadcast_summary& s) {
      auto named = links_of(s);
      promised([&] { ledger_.summed_up(m, s, std::move(named)); });
    };
  if (!harness_->backbone->broadcast(message::text(std::move(text)), std::move(except), how,
                                     std::move(done)))
    ledger_.turned_away(m);
}

void world::close() {
  auto* const p = some_peer();
  if (!p) return;
  note("close {}", p->seen.number());
  closes_.emplace_back();
  const auto done = [this, which = closes_.size() - 1](close_result) {
    promised([&] { require(++closes_[which].answers == 1, "a close is answered twice"); });
  };
  if (chance(50))
    p->handle.close(close_code::normal, "enough", done);
  else
    harness_->backbone->remove(p->handle.id(), close_code::normal, "removed", done);
}

/// An actor is killed from outside, as by a bug that CAF turns into an exit.
void world::kill() {
  auto* const p = some_peer();
  if (!p || !p->handle || !chance(30)) return;
  note("the actor of {} is killed", p->seen.number());
  caf::anon_send_exit(actor_of(p->handle), caf::exit_reason::kill);
}

void world::spawn() {
  const auto living = std::ranges::count_if(
      sessions_, [](const auto& s) { return s.handle.state() != session_state::ended; });
  if (static_cast<std::size_t>(living) >= most_sessions) return;
  static constexpr std::array names{"takes_over", "joins", "ends", "restarts"};
  const std::string type = names[below(names.size())];
  auto made = harness_->backbone->spawn_session(type, {});
  if (!made) return;
  note("session {} of type {}", made.session.id(), type);
  sessions_.push_back({.handle = made.session, .type = type});
  readers_.emplace_back(sessions_.size() - 1, std::move(made.token));
  sessions_.back().readers.push_back(readers_.size() - 1);
  if (chance(30)) made.session.set_owner();
}

void world::emit() {
  if (sessions_.empty()) return;
  const auto which = sessions_.size() - 1 - below(std::min<std::size_t>(sessions_.size(), 6));
  auto& s = sessions_[which];
  emit_options how;
  if (chance(15)) how.acked = true, how.ack_timeout = std::chrono::milliseconds{1 + below(500)};
  if (chance(10)) how.key = fmt::format("k{}", below(4));
  const auto number = ++s.last_number;
  note("{}: emit {}", s.handle.id(), number);
  s.answers.push_back({.number = number});
  const auto padding = below(chance(20) ? 600 : 40);
  s.handle.emit("e", std::to_string(number) + std::string(padding, ' '), std::move(how),
                [this, which, answer = s.answers.size() - 1](const emit_report& r) {
                  promised([&] { sessions_[which].answered(answer, r); });
                });
}

void world::attach() {
  if (readers_.empty()) return;
  attach(readers_.size() - 1 - below(std::min<std::size_t>(readers_.size(), 8)));
}

void world::attach(std::size_t which) {
  auto& r = readers_[which];
  auto& s = sessions_[r.session()];
  if (r.link() || r.stays_away() || s.handle.state() == session_state::ended) return;
  auto wants = std::make_unique<protocol::attach_request>(
      protocol::attach_request{s.handle.id(), r.token(), r.last(), r.epoch()});
  const auto link = begin_link(some_user(), which, std::move(wants));
  note("reader {} of {} attaches by {} after {}", which, s.handle.id(), link, r.last());
  r.attaches_by(link);
  if (s.readers.size() < most_readers_each && chance(15))
    s.handle.issue_token([this, at = r.session()](std::string token) {
      if (token.empty()) return;
      readers_.emplace_back(at, std::move(token));
      sessions_[at].readers.push_back(readers_.size() - 1);
    });
}

void world::end_session() {
  if (sessions_.empty() || !chance(40)) return;
  const auto& s = sessions_[below(sessions_.size())];
  note("{} is to end, or its owner is lost", s.handle.id());
  if (chance(50))
    s.handle.end("done");
  else
    s.handle.lose_owner();
}

void world::reads_inbox() {
  if (sessions_.empty()) return;
  inboxes_.push_back(0);
  harness_->backbone->read_inbox(
      sessions_[below(sessions_.size())].handle.id(), below(6), 10,
      std::chrono::milliseconds{below(300)}, {},
      [this, which = inboxes_.size() - 1](const inbox_page&) {
        promised([&] { require(++inboxes_[which] == 1, "an inbox is answered twice"); });
      });
}

}  // namespace fairlead::simulation
