#include "actors/session_actor.hpp"

#include <algorithm>
#include <utility>

#include "actors/connection_actor.hpp"
#include "protocol/defect.hpp"

namespace fairlead::actors {

namespace machine = protocol::sessions;
using protocol::defect;
using protocol::planted;

namespace {

constexpr std::size_t most_timers = 64;

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
      tokens_(options().token_lifetime, options().max_sockets),
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
      [me](retire) { me().end_at_shutdown(); },
      [me](const actors::issue_token& m) { me().on(m); },
      [me](const set_session_timer& m) { me().on(m); },
      [me](read_inbox& m) { me().on(m); },
      [me](have_owner m) { me().on(m); },
      [me](const watch_session& m) { me().on(m); },
      [me](take_session_snapshot) { return me().snapshot(); },
  };
}

// --- the machine ----------------------------------------------------------------------------------------------------

void session_actor::entered(session_state before) {
  const auto now = machine::kind_of(state_);
  --counts().by_state[static_cast<std::size_t>(before)];
  if (now != session_state::ended) {
    ++counts().by_state[static_cast<std::size_t>(now)];
    core_->entered(now);
    for (const auto& w : watchers_) w->tell(now);
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
  trim_stream();
  std::erase_if(waiters_, [&](const waiter& w) { return w.deadline <= now; });
  std::erase_if(readers_, [&](const reader& r) {
    if (r.deadline > now) return false;
    answer(r.what);
    return true;
  });
  const auto is_due = [&](const named_timer& t) { return t.when <= now; };
  // So many: one that is started again without a delay has its turn later.
  for (auto left = std::ranges::count_if(timers_, is_due); left > 0; --left) {
    const auto due = std::ranges::find_if(timers_, is_due);
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
  for (auto& s : sockets_) {
    if (std::exchange(s.unwritten, false)) actor_of(*s.who).finish_run();
    if (s.handled > 0) tell(s.who->actor, handled{std::exchange(s.handled, 0)});
  }
  set_alarm();
}

// --- the behaviour --------------------------------------------------------------------------------------------------

void session_actor::behavior_failed(const char* where, std::string_view what) {
  env_.logger()(severity::error, "session.behavior_threw",
                {{"session", core_->id}, {"function", where}, {"what", what}});
  record("behavior_threw");
  behavior_.reset();
  core_->behavior_gone();  // what it asked for, in its destructor too, is not its successor's
  timers_.clear();
  apply(machine::behavior_failed{});
}

void session_actor::make_behavior() {
  const auto& make = core_->type->what.behavior;
  if (!make) return;
  try {
    const behavior_scope inside{in_behavior_};
    behavior_ = make(handle());
  } catch (const std::exception& e) {
    return behavior_failed("factory", e.what());
  } catch (...) {
    return behavior_failed("factory", "not a std::exception");
  }
  if (!behavior_) return behavior_failed("factory", "returned null");
  guarded("on_start", [&] { behavior_->on_start(handle()); });
}

/// A new one that fails as well, while it is made, does not lead into here again, but to one more round.
void session_actor::carry_out(const machine::restart&) {
  once_more_ = true;
  if (restarting_) return;
  for (restarting_ = true; std::exchange(once_more_, false);) {
    ++restarts_;
    bump(counts().restarts);
    record("restarted", restarts_);
    make_behavior();
    greet_sockets();
  }
  restarting_ = false;
}

/// A new behaviour is told who is there, as long as it does not fail.
void session_actor::greet_sockets() {
  std::vector<core_ptr> there;
  for (const auto& s : sockets_) there.push_back(s.who);
  for (const auto& who : there)
    guarded("on_attach", [&] { behavior_->on_attach(handle(), connection{who}); });
}

bool session_actor::set_now(const set_session_timer& m) {
  if (!loop().inside() || !in_behavior_) return false;
  set(m);
  return true;
}

void session_actor::on(const set_session_timer& m) {
  core_->request_handled(m.name.size());
  set(m);
}

void session_actor::set(const set_session_timer& m) {
  if (m.behavior != core_->behavior()) return;
  std::erase_if(timers_, [&](const named_timer& t) { return t.name == m.name; });
  if (m.cancel || !(behavior_ || in_behavior_)) return;
  if (timers_.size() < most_timers) return timers_.push_back({m.name, loop().now() + m.delay});
  env_.logger()(severity::warning, "session.too_many_timers",
                {{"session", core_->id}, {"name", m.name}});
}

void session_actor::on(const actors::issue_token& m) {
  core_->request_handled();
  if (machine::kind_of(state_) == session_state::ended) return;
  auto token = env_.options.make_token();
  tokens_.issue(token, loop().now());
  record("token_issued");
  m.done(std::move(token));
}

void session_actor::on(have_owner m) {
  if (std::exchange(has_owner_, m.has) && !m.has) {
    record("owner_lost");
    apply(machine::owner_lost{});
  }
}

void session_actor::on(const watch_session& m) {
  if (watchers_.size() >= detail::session_core::most_watchers) {
    m.sink->dismiss();
    return env_.logger()(severity::warning, "session.too_many_watchers", {{"session", core_->id}});
  }
  m.sink->tell(machine::kind_of(state_));
  watchers_.push_back(m.sink);
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
                        env_.options.wall_clock(), info, stream_.top(),
                        inbox_ ? inbox_->size() : 0});
  const bool failed = info.by == session_ender::behavior;
  for (auto& s : sockets_) {
    const auto why =
        !send_rest(s) ? too_slow()
        : failed      ? close_info{close_code::internal_error, info.reason, initiator::error, false}
                 : close_info{close_code::session_ended, info.reason, initiator::application, true};
    s.who->close(why.code, why.reason, why.by, {});
  }
  sockets_.clear();
  waiters_.clear();   // which answers them
  watchers_.clear();  // the same
  readers_.clear();
  timers_.clear();
  if (auto last = std::move(behavior_)) {
    try {
      last->on_end(handle(), info);
    } catch (...) {
      env_.logger()(severity::error, "session.behavior_threw",
                    {{"session", core_->id}, {"function", "on_end"}});
    }
  }
  quit();
}

void session_actor::end_at_shutdown() {
  apply(machine::ask_end{session_ender::shutdown, "server shutting down"});
}

void session_actor::on_crash(std::string_view what) {
  env_.logger()(severity::error, "session.crashed", {{"session", core_->id}, {"what", what}});
}

void session_actor::on_exit() {
  // Without this it was killed or broke: its end is reported all the same.
  apply(machine::ask_end{session_ender::behavior, "internal error"});
  // A handle that is kept keeps this actor, but not what it kept.
  stream_.shrink(0);
  inbox_.reset();
  if (!planted(defect::ghost_events)) count_kept();
  alarm_.cancel();
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
  if (const auto due = machine::deadline_of(state_); due != protocol::time_point::max())
    s.ends_in = std::chrono::duration_cast<std::chrono::milliseconds>(due - loop().now());
  s.metadata = core_->metadata;
  s.epoch = stream_.epoch();
  s.offset = stream_.top();
  s.first_kept = stream_.size() > 0 ? stream_.first() : 0;
  s.acked = acked_;
  s.kept_messages = stream_.size();
  s.kept_bytes = stream_.bytes();
  s.replayed = replayed_;
  s.received = received_;
  s.resumes = resumes_;
  s.inbox = inbox_ ? inbox_->size() : 0;
  s.inbox_bytes = inbox_ ? inbox_->bytes() : 0;
  s.inbox_readers = readers_.size();
  s.mailbox = mailbox_size();
  s.restarts = restarts_;
  s.has_owner = has_owner_;
  for (const auto& socket : sockets_)
    s.sockets.push_back({socket.who->id, socket.next - 1, socket.lagging});
  for (std::size_t i = 0; i < events_.size(); ++i)
    s.events.push_back(events_[(next_event_ + i) % events_.size()]);
  return s;
}

}  // namespace fairlead::actors
