#include "actors/session_actor.hpp"

#include <algorithm>
#include <utility>

#include "protocol/session_frames.hpp"

namespace fairlead::actors {

namespace machine = protocol::sessions;

namespace {

constexpr std::size_t most_waiters = 1'024, most_readers = 16, most_timers = 64, most_keys = 256;

protocol::stream_limits limits_of(const session_options& o) {
  return {o.max_messages, o.max_bytes, o.replay_window};
}

}  // namespace

session_actor::session_actor(caf::actor_config& config, std::shared_ptr<loop_unit> unit,
                             environment& env, loop_context& here, session_ptr core)
    : lean_actor(config, std::move(unit)),
      env_(env),
      here_(here),
      core_(std::move(core)),
      state_(machine::begin(options(), loop().read_clock())),
      stream_(env.options.make_token().substr(0, 8), limits_of(options())),
      tokens_(options().token_lifetime),
      alarm_([this] { tell(self(), session_due{}); }),
      began_(loop().read_clock()),
      entered_at_(began_),
      began_wall_(env.options.wall_clock()) {
  ++counts().by_state[0];
}

caf::behavior& session_actor::handlers() {
  if (!here_.session_handlers) here_.session_handlers = make_handlers(unit());
  return here_.session_handlers;
}

/// Shared by the sessions of a loop, of which one runs at a time: hence no `this`.
caf::behavior session_actor::make_handlers(loop_unit& unit) {
  const auto me = [&unit]() -> session_actor& {
    return static_cast<session_actor&>(*unit.current());
  };
  return {
      [me](emit_event& m) { me().on(m); },
      [me](const companion_received& m) { me().on(m); },
      [me](send_more m) { me().on(m); },
      [me](session_due m) { me().on(m); },
      [me](const session_begin& m) { me().on(m); },
      [me](const ask_to_attach& m) { me().on(m); },
      [me](const companion_opened& m) { me().on(m); },
      [me](const companion_closed& m) { me().on(m); },
      [me](end_session& m) {
        me().apply(machine::ask_end{session_ender::application, std::move(m.reason)});
      },
      [me](retire) {
        me().apply(machine::ask_end{session_ender::shutdown, "server shutting down"});
      },
      [me](const actors::issue_token& m) { me().on(m); },
      [me](const set_session_timer& m) { me().on(m); },
      [me](read_inbox& m) { me().on(m); },
      [me](const set_owner& m) { me().on(m); },
      [me](take_session_snapshot) { return me().snapshot(); },
  };
}

// --- the machine ----------------------------------------------------------------------------------------------------

template <class Event>
void session_actor::apply(Event&& happened) {
  // One vector for all sessions of the loop: a step allocates nothing once its capacity is there.
  auto out = std::exchange(here_.session_effects, {});
  const auto before = machine::kind_of(state_);
  machine::step(state_, std::forward<Event>(happened), options(), loop().now(), out);
  if (machine::kind_of(state_) != before) entered(before);
  for (const auto& e : out) std::visit([this](const auto& what) { this->carry_out(what); }, e);
  out.clear();
  here_.session_effects = std::move(out);
}

void session_actor::entered(session_state before) {
  const auto now = machine::kind_of(state_);
  --counts().by_state[static_cast<std::size_t>(before)];
  if (now != session_state::ended) {
    ++counts().by_state[static_cast<std::size_t>(now)];
    core_->entered(now);
  }
  entered_at_ = loop().now();
  record(to_string(now).data());
  const auto event = "session." + std::string{to_string(now)};
  if (now != session_state::ended)
    env_.logger()(severity::debug, event, {{"session", core_->id}, {"offset", stream_.top()}});
}

void session_actor::on(const session_begin& m) {
  tokens_.issue(m.token, loop().now());
  record("detached");
  env_.logger()(severity::info, "session.spawned",
                {{"session", core_->id}, {"type", core_->type->name}, {"user", core_->user}});
  make_behavior();
}

void session_actor::on(session_due) {
  alarm_at_ = protocol::time_point::max();
  const auto now = loop().now();
  stream_.trim(now);
  std::erase_if(waiters_, [&](const waiter& w) { return w.deadline <= now; });
  std::erase_if(readers_, [&](const reader& r) {
    if (r.deadline > now) return false;
    answer(r.what);
    return true;
  });
  while (true) {
    const auto due =
        std::ranges::find_if(timers_, [&](const named_timer& t) { return t.when <= now; });
    if (due == timers_.end()) break;
    const auto name = std::move(due->name);
    timers_.erase(due);
    guarded("on_timer", [&] { behavior_->on_timer(handle(), name); });
  }
  apply(machine::deadline_passed{});
  if (now - began_ >= options().max_age)
    apply(machine::ask_end{session_ender::age, "the session has reached its age"});
}

/// One timer for whatever is due first.
void session_actor::set_alarm() {
  auto when =
      std::min({machine::deadline_of(state_), stream_.next_expiry(), began_ + options().max_age});
  for (const auto& w : waiters_) when = std::min(when, w.deadline);
  for (const auto& r : readers_) when = std::min(when, r.deadline);
  for (const auto& t : timers_) when = std::min(when, t.when);
  if (when == alarm_at_) return;
  alarm_at_ = when;
  loop().schedule(alarm_, when);
}

void session_actor::after_run() {
  for (auto& s : sockets_)
    if (s.handled > 0) tell(s.who->actor, handled{std::exchange(s.handled, 0)});
  set_alarm();
}

// --- sockets --------------------------------------------------------------------------------------------------------

session_actor::socket* session_actor::find(connection_id id) {
  const auto found =
      std::ranges::find_if(sockets_, [&](const socket& s) { return s.who->id == id; });
  return found == sockets_.end() ? nullptr : &*found;
}

void session_actor::turn_away(const core_ptr& who, close_code code, std::string reason,
                              attach_outcome why) {
  bump(counts().attaches[static_cast<std::size_t>(why)]);
  record("turned_away", static_cast<std::uint64_t>(code));
  const auto id = to_string(who->id);
  env_.logger()(severity::info, "session.turned_away",
                {{"session", core_->id}, {"id", id}, {"why", to_string(why)}});
  who->close(code, std::move(reason), initiator::application, {});
}

void session_actor::on(const ask_to_attach& m) {
  const auto asks = m.ticket->take();
  const auto& who = *asks;
  if (!tokens_.good(who.attach->token, loop().now()))
    return turn_away(asks, close_code::session_token, "the resume token is wrong or has expired",
                     attach_outcome::bad_token);
  if (!who.user.empty() && who.user != core_->user)
    return turn_away(asks, close_code::session_token, "the session is another user's",
                     attach_outcome::wrong_user);
  attaching_ = &asks;
  apply(machine::ask_attach{});
  attaching_ = nullptr;
}

void session_actor::carry_out(const machine::let_in&) {
  tell(env_.loops[(*attaching_)->id.loop].roster, user_attached{*attaching_, self()});
}

void session_actor::carry_out(const machine::turn_away& e) {
  turn_away(*attaching_, e.code, e.reason,
            e.code == close_code::session_full ? attach_outcome::full : attach_outcome::ended);
}

void session_actor::on(const companion_opened& m) {
  attaching_ = &m.who;
  apply(machine::socket_attached{});
  attaching_ = nullptr;
}

void session_actor::carry_out(const machine::catch_up& e) {
  const auto who = *attaching_;
  const auto now = loop().now();
  while (e.takes_over && !sockets_.empty()) {
    const auto older = sockets_.front().who;
    const close_info why{close_code::session_taken_over, "another socket has attached",
                         initiator::application, false};
    older->close(why.code, why.reason, why.by, {});
    let_go(older->id, why);
  }
  if (const auto* const over = std::get_if<machine::ended>(&state_))  // a behaviour threw
    return turn_away(who, close_code::session_ended, over->info.reason, attach_outcome::ended);
  stream_.trim(now);
  const auto& wants = *who->attach;
  const bool recovered = stream_.can_recover(wants.after, wants.epoch);
  auto token = env_.options.make_token();
  tokens_.rotate(wants.token, token, now);
  who->send(protocol::as_chunk(
      protocol::encode_attached({core_->id, recovered, stream_.epoch(), stream_.top(), token})));
  const auto missed = recovered ? stream_.top() - wants.after : 0;
  const auto outcome = !recovered        ? attach_outcome::gap
                       : resumes_++ == 0 ? attach_outcome::first
                                         : attach_outcome::recovered;
  bump(counts().attaches[static_cast<std::size_t>(outcome)]);
  bump(counts().replayed, missed);
  replayed_ += missed;
  record(to_string(outcome).data(), wants.after);
  const auto id = to_string(who->id);
  env_.logger()(severity::info, "session.socket_attached",
                {{"session", core_->id},
                 {"id", id},
                 {"outcome", to_string(outcome)},
                 {"after", wants.after},
                 {"offset", stream_.top()}});
  sockets_.push_back({who, recovered ? wants.after + 1 : stream_.top() + 1, std::move(token)});
  pump(sockets_.back());
  drop_hopeless();
  guarded("on_attach", [&] { behavior_->on_attach(handle(), connection{who}); });
}

void session_actor::on(const companion_closed& m) { let_go(m.who->id, m.info); }

void session_actor::let_go(connection_id id, const close_info& why) {
  auto* const s = find(id);
  if (!s) return;
  const auto who = s->who;
  tokens_.release(s->token, loop().now());
  sockets_.erase(sockets_.begin() + (s - sockets_.data()));
  apply(machine::socket_detached{});
  record("socket_detached", static_cast<std::uint64_t>(why.code));
  guarded("on_detach", [&] { behavior_->on_detach(handle(), connection{who}, why); });
}

// --- events ---------------------------------------------------------------------------------------------------------

std::uint64_t session_actor::offset_of(const std::string& key) const {
  const auto found = std::ranges::find(keys_, key, &std::pair<std::string, std::uint64_t>::first);
  return found == keys_.end() ? 0 : found->second;
}

void session_actor::on(emit_event& m) {
  core_->handled(m.data.size() + protocol::event_overhead);
  emitting_ = &m;
  apply(machine::emit{});
  emitting_ = nullptr;
}

void session_actor::carry_out(const machine::refuse_emit& e) {
  bump(counts().refused[static_cast<std::size_t>(e.why)]);
  if (emitting_->asked) emitting_->asked->answer({e.why});
}

void session_actor::carry_out(const machine::append&) {
  auto& m = *emitting_;
  if (const auto before = m.key.empty() ? 0 : offset_of(m.key); before > 0) {
    if (m.asked) m.asked->answer({emit_result::kept, before, true});
    return;
  }
  const bool waits = m.ack_timeout.count() > 0;
  if (waits && waiters_.size() >= most_waiters)
    return carry_out(machine::refuse_emit{emit_result::overflow});
  const auto now = loop().now();
  const auto offset = stream_.append(protocol::encode_event(core_->id, stream_.top() + 1, m.type,
                                                            m.data, env_.options.wall_clock()),
                                     now);
  ++emitted_;
  bump(counts().emitted);
  if (!m.key.empty()) {
    if (keys_.size() < most_keys)
      keys_.emplace_back(std::move(m.key), offset);
    else
      keys_[next_key_++ % most_keys] = {std::move(m.key), offset};
  }
  if (m.asked) m.asked->appended(offset, waits ? emit_result::unacked : emit_result::kept);
  send_last(waits ? nullptr : m.asked);
  if (waits) waiters_.push_back({offset, now + m.ack_timeout, std::move(m.asked)});
}

/// To every socket that is not behind.
void session_actor::send_last(const emit_receipt_ptr& asked) {
  bool hopeless = false;
  for (auto& s : sockets_) {
    if (s.lagging) {
      hopeless |= s.next < stream_.first();
    } else if (!s.who->calm() || !send_one(s, asked)) {
      pump(s);
    }
  }
  if (hopeless) drop_hopeless();
}

/// False if it is not kept any more.
bool session_actor::send_one(socket& s, protocol::receipt asked) {
  const auto* const what = stream_.at(s.next);
  if (!what) return false;
  // A gap must not go unnoticed: whatever the server does with slow consumers, this one is closed, and comes back.
  if (!asked && s.who->policy() != slow_policy::disconnect) asked = core_->type->silent;
  s.who->send(protocol::as_chunk(*what, std::move(asked)));
  ++s.next;
  return true;
}

namespace {

/// Tells a session that a socket of its has room again, or has ended.
class wake_receipt final : public protocol::receipt_sink {
 public:
  wake_receipt(protocol::terms_ptr terms, caf::strong_actor_ptr session, connection_id socket)
      : receipt_sink(std::move(terms)), session_(std::move(session)), socket_(socket) {}
  ~wake_receipt() override { tell(session_, send_more{socket_}); }
  void settle(send_result) noexcept override {}

 private:
  caf::strong_actor_ptr session_;
  connection_id socket_;
};

}  // namespace

/// Sends what the stream has for it, until its queue is half full; then one more, which tells when it has been written.
void session_actor::pump(socket& s) {
  s.lagging = false;
  while (s.next <= stream_.top() && s.who->calm())
    if (!send_one(s, {})) break;
  if (s.next > stream_.top()) return;
  s.lagging = true;
  if (s.next < stream_.first()) return;  // hopeless: it is dropped by who called
  static_cast<void>(
      send_one(s, std::make_shared<wake_receipt>(core_->type->without_gaps, self(), s.who->id)));
}

void session_actor::on(send_more m) {
  if (auto* const s = find(m.to)) pump(*s);
  drop_hopeless();
}

/// Those for whom the stream does not go back far enough: they would have a gap. They may come back and be told so.
void session_actor::drop_hopeless() {
  const auto gone = [&](const socket& s) { return s.lagging && s.next < stream_.first(); };
  for (auto at = std::ranges::find_if(sockets_, gone); at != sockets_.end();
       at = std::ranges::find_if(sockets_, gone)) {
    const auto who = at->who;
    const close_info why{close_code::slow_consumer,
                         "slow: the session does not keep what it missed", initiator::limit, false};
    env_.count(protocol::limit_hit::slow_close);
    who->close(why.code, why.reason, why.by, {});
    let_go(who->id, why);
  }
}

void session_actor::acked(std::uint64_t offset) {
  if (offset > stream_.top() || offset <= acked_) return;  // nonsense, or known
  acked_ = offset;
  bump(counts().acks);
  const auto behind = std::ranges::upper_bound(waiters_, offset, {}, &waiter::offset);
  for (auto w = waiters_.begin(); w != behind; ++w)
    if (w->asked) w->asked->answer({emit_result::acked, w->offset});
  waiters_.erase(waiters_.begin(), behind);
}

// --- what clients send ----------------------------------------------------------------------------------------------

void session_actor::on(const companion_received& m) {
  auto* const s = find(m.who->id);
  if (!s) return;
  if (const auto offset =
          m.what.kind() == message_kind::text ? protocol::parse_ack(m.what.view()) : std::nullopt) {
    ++s->handled;
    return acked(*offset);
  }
  ++received_;
  bump(counts().received);
  if (!core_->type->what.behavior) return into_inbox(*s, m.what);
  ++s->handled;
  guarded("on_message", [&] { behavior_->on_message(handle(), connection{m.who}, m.what); });
}

bool session_actor::inbox_full() const {
  return inbox_->size() >= options().max_inbox || inbox_->bytes() >= options().max_bytes;
}

void session_actor::into_inbox(socket& s, const message& what) {
  if (!inbox_)
    inbox_ = std::make_unique<protocol::stream>(
        std::string{}, protocol::stream_limits{SIZE_MAX, SIZE_MAX, std::chrono::hours{24 * 365}});
  // A socket stops being read when too much of its is withheld. One that comes back again and again is stopped here.
  if (inbox_->size() >= 2 * options().max_inbox)
    return s.who->close(close_code::try_again_later, "the session's owner does not read",
                        initiator::limit, {});
  inbox_->append(what, loop().now());
  ++(inbox_full() ? s.withheld : s.handled);
  answer_readers();
}

void session_actor::on(read_inbox& m) {
  if (inbox_) {
    inbox_->drop_until(m.after);
    if (!inbox_full())
      for (auto& s : sockets_) s.handled += std::exchange(s.withheld, 0);
  }
  if (m.wait.count() <= 0 || (inbox_ && inbox_->top() > m.after && inbox_->size() > 0))
    return answer(m);
  if (readers_.size() >= most_readers) {
    answer(readers_.front().what);
    readers_.erase(readers_.begin());
  }
  readers_.push_back({loop().now() + m.wait, std::move(m)});
}

void session_actor::answer_readers() {
  for (const auto& r : std::exchange(readers_, {})) answer(r.what);
}

void session_actor::answer(const read_inbox& m) {
  inbox_page page{true, false, {}};
  if (inbox_)
    for (auto at = std::max(m.after + 1, inbox_->first());
         at <= inbox_->top() && page.messages.size() < m.limit; ++at)
      page.messages.push_back({at, *inbox_->at(at)});
  m.asked->answer(std::move(page));
}

// --- the behaviour --------------------------------------------------------------------------------------------------

template <class Function>
void session_actor::guarded(const char* where, Function&& function) {
  if (!behavior_) return;
  try {
    function();
  } catch (const std::exception& e) {
    behavior_failed(where, e.what());
  } catch (...) {
    behavior_failed(where, "not a std::exception");
  }
}

void session_actor::behavior_failed(const char* where, std::string_view what) {
  env_.logger()(severity::error, "session.behavior_threw",
                {{"session", core_->id}, {"function", where}, {"what", what}});
  record("behavior_threw");
  behavior_.reset();
  timers_.clear();
  apply(machine::behavior_failed{});
}

void session_actor::make_behavior() {
  const auto& make = core_->type->what.behavior;
  if (!make) return;
  try {
    behavior_ = make(handle());
  } catch (const std::exception& e) {
    return behavior_failed("factory", e.what());
  } catch (...) {
    return behavior_failed("factory", "not a std::exception");
  }
  if (!behavior_) return behavior_failed("factory", "returned null");
  guarded("on_start", [&] { behavior_->on_start(handle()); });
}

void session_actor::carry_out(const machine::restart&) {
  ++restarts_;
  bump(counts().restarts);
  record("restarted", restarts_);
  make_behavior();
  // The new one is told who is there; unless it has failed as well.
  std::vector<core_ptr> there;
  for (const auto& s : sockets_) there.push_back(s.who);
  for (const auto now = restarts_; const auto& who : there)
    if (restarts_ == now)
      guarded("on_attach", [&] { behavior_->on_attach(handle(), connection{who}); });
}

void session_actor::on(const set_session_timer& m) {
  std::erase_if(timers_, [&](const named_timer& t) { return t.name == m.name; });
  if (m.cancel || !behavior_) return;
  if (timers_.size() < most_timers) return timers_.push_back({m.name, loop().now() + m.delay});
  env_.logger()(severity::warning, "session.too_many_timers",
                {{"session", core_->id}, {"name", m.name}});
}

void session_actor::on(const actors::issue_token& m) {
  if (machine::kind_of(state_) == session_state::ended) return;
  auto token = env_.options.make_token();
  tokens_.issue(token, loop().now());
  record("token_issued");
  m.done(std::move(token));
}

void session_actor::on(const set_owner& m) {
  owner_ = m.owner;
  monitor(owner_);
}

void session_actor::on_down(const caf::down_msg& down) {
  if (!owner_ || owner_->address() != down.source) return;
  owner_ = nullptr;
  record("owner_lost");
  apply(machine::owner_lost{});
}

// --- the end --------------------------------------------------------------------------------------------------------

void session_actor::carry_out(const machine::report_ended& e) {
  const auto& info = e.info;
  core_->ended(info);
  bump(counts().ended[static_cast<std::size_t>(info.by)]);
  env_.logger()(info.by == session_ender::behavior ? severity::error : severity::info,
                "session.ended",
                {{"session", core_->id},
                 {"type", core_->type->name},
                 {"by", to_string(info.by)},
                 {"reason", info.reason},
                 {"offset", stream_.top()}});
  env_.sessions.remove({core_->id, core_->user, core_->type->name, began_wall_,
                        env_.options.wall_clock(), info, stream_.top()});
  for (auto& s : sockets_) {
    if (s.lagging) pump(s);  // what fits
    const bool failed = info.by == session_ender::behavior;
    s.who->close(failed ? close_code::internal_error : close_code::session_ended, info.reason,
                 failed ? initiator::error : initiator::application, {});
  }
  sockets_.clear();
  waiters_.clear();  // which answers them
  readers_.clear();
  timers_.clear();
  if (auto last = std::move(behavior_)) {
    try {
      last->on_end(handle(), info);
      last.reset();
    } catch (...) {
      env_.logger()(severity::error, "session.behavior_threw",
                    {{"session", core_->id}, {"function", "on_end"}});
    }
  }
  quit();
}

void session_actor::on_crash(std::string_view what) {
  env_.logger()(severity::error, "session.crashed", {{"session", core_->id}, {"what", what}});
}

void session_actor::on_exit() {
  // Without this it was killed or broke: its end is reported all the same.
  apply(machine::ask_end{session_ender::behavior, "internal error"});
  alarm_.cancel();
  owner_.reset();
  core_.reset();  // it holds this actor
}

// --- inspection -----------------------------------------------------------------------------------------------------

void session_actor::record(const char* name, std::uint64_t detail) {
  constexpr std::size_t most = 16;
  const auto at = std::chrono::duration_cast<std::chrono::milliseconds>(loop().now() - began_);
  if (events_.size() < most)
    events_.push_back({at, name, detail});
  else
    events_[next_event_++ % most] = {at, name, detail};
}

session_snapshot session_actor::snapshot() {
  session_snapshot s;
  s.id = core_->id;
  s.user = core_->user;
  s.type = core_->type->name;
  s.state = machine::kind_of(state_);
  s.began = began_wall_;
  s.in_state = std::chrono::duration_cast<std::chrono::milliseconds>(loop().now() - entered_at_);
  s.metadata = core_->metadata;
  s.epoch = stream_.epoch();
  s.offset = stream_.top();
  s.first_kept = stream_.size() > 0 ? stream_.first() : 0;
  s.acked = acked_;
  s.kept_messages = stream_.size();
  s.kept_bytes = stream_.bytes();
  s.emitted = emitted_;
  s.replayed = replayed_;
  s.received = received_;
  s.resumes = resumes_;
  s.inbox = inbox_ ? inbox_->size() : 0;
  s.mailbox = mailbox_size();
  s.restarts = restarts_;
  s.has_owner = owner_ != nullptr;
  for (const auto& socket : sockets_)
    s.sockets.push_back({socket.who->id, socket.next - 1, socket.lagging});
  for (std::size_t i = 0; i < events_.size(); ++i)
    s.events.push_back(events_[(next_event_ + i) % events_.size()]);
  return s;
}

}  // namespace fairlead::actors
