#include "actors/roster.hpp"

#include <exception>
#include <utility>

#include "actors/companion.hpp"
#include "actors/connection_actor.hpp"
#include "actors/fan_out.hpp"
#include "actors/queue_budget.hpp"
#include "actors/session_messages.hpp"
#include "protocol/defect.hpp"

namespace fairlead::actors {

using protocol::defect;

namespace {

constexpr std::size_t closed_records_kept = 1000;

void not_found(environment& env, std::string_view what, connection_id id) {
  const auto text = to_string(id);
  env.logger()(severity::warning, "connection.not_found", {{"id", text}, {"for", what}});
}

// A broadcast waits until this many turns of the loop brought no other: what one round of socket events holds is folded
// into one run. Two, because a connection that has several messages buffered brings one every other turn.
constexpr unsigned quiet_turns_wanted = 2;
constexpr std::size_t max_waiting = 256;
constexpr std::size_t max_waiting_bytes = 256 * 1024;
// Messages to connections in one run, about: some 10 ms.
constexpr std::size_t messages_per_run = 32 * 1024;

}  // namespace

roster::roster(caf::actor_config& config, std::shared_ptr<loop_unit> unit, environment& env,
               loop_context& here)
    : pinned_actor(config, std::move(unit)),
      env_(env),
      here_(here),
      pace_([this] { tell(self(), actors::close_some{}); }) {}

caf::behavior roster::make_behavior() {
  return {
      [this](fan_out& m) { on(m); },
      [this](turn_passed m) { on(m); },
      [this](const enroll& m) {
        --here_.enrolling;
        monitor(m.who->actor);
        ++env_.connections;
        known_.emplace(m.who->id.serial, entry{m.who});
        if (!draining_) return;
        ++env_.drain.connections;
        if (!here_.aborting) return tell_to_close(m.who);
        tell(m.who->actor, abort_now{});
      },
      [this](const request_admission& m) { on(m); },
      [this](depart& m) { on(m); },
      [this](send_to_id& m) { on(m); },
      [this](close_id& m) { on(m); },
      [this](const fan_out_to_user& m) { on(m); },
      [this](const close_user_connections& m) { on(m); },
      [this](const attach_user& m) { on(m); },
      [this](const user_attached& m) { on(m); },
      [this](const detach_user& m) { on(m); },
      [this](const user_linger_passed& m) { on(m); },
      [this](const view_roster& m) { return view(m); },
      [this](const view_metrics& m) { return on(m); },
      [this](count_some& m) { on(m); },
      [this](find_connection m) {
        auto* e = find(m.id);
        return found_connection{e ? e->who : nullptr};
      },
      [this](view_closed) {
        return closed_records{{closed_.begin(), closed_.end()}};
      },
      [this](const shed& m) { on(m); },
      [this](const drain& m) { on(m); },
      [this](actors::close_some) { close_some(); },
      [this](limits_changed m) {
        for (const auto& [serial, e] : known_)
          if (e.who->ticket && e.who->ticket->expires_at) tell(e.who->actor, m);
      },
      [this](companion_ended) { report_if_drained(); },
      [this](abort_all) {
        here_.aborting = true;
        waiting_.clear();
        leaving_.clear();
        for (const auto& [serial, e] : known_) tell(e.who->actor, abort_now{});
      },
      [this](retire) { quit(); },
  };
}

// --- who is there ---------------------------------------------------------------------------------------------------

roster::entry* roster::find(connection_id id) {
  const auto found = id.loop == here_.index ? known_.find(id.serial) : known_.end();
  return found == known_.end() ? nullptr : &found->second;
}

void roster::on(const request_admission& m) {
  auto* e = find(m.who->id);
  if (!e || draining_) return;  // gone already; or told to close, as everyone was
  if (m.who->of_session) return attach_to_session(m.who);
  if (!env_.options.per_user || m.who->user.empty()) {
    admit(*e);
    return tell(m.who->actor, admitted{});
  }
  e->has_user_actor = true;
  tell(env_.home_of(m.who->user).roster, attach_user{m.who});
}

/// The session answers with `user_attached`, or closes it.
void roster::attach_to_session(const core_ptr& who) {
  const auto found = env_.sessions.find(who->attach->session);
  if (found.session)
    return tell(found.session->actor, ask_to_attach{std::make_shared<attach_ticket>(who)});
  if (found.ended)
    return who->close(close_code::session_ended, found.ended->info.reason, initiator::application,
                      {});
  who->close(close_code::session_unknown, "there is no such session", initiator::application, {});
}

void roster::on(const user_attached& m) {
  auto* e = find(m.who->id);
  if (!e || draining_) return;
  admit(*e);
  tell(m.who->actor, admitted{m.companion});
}

void roster::admit(entry& e) {
  e.member = members_.size();
  members_.push_back(e.who);
  if (e.who->user.empty()) return;
  auto& its = by_user_[e.who->user];
  if (its.empty() || !planted(defect::user_missed)) its.push_back(e.who);
}

void roster::remove(std::uint64_t serial) {
  const auto found = known_.find(serial);
  if (found == known_.end()) return;
  const auto gone = std::move(found->second);
  known_.erase(found);
  if (!planted(defect::forgotten_end)) --env_.connections;
  if (!gone.who->user.empty()) env_.seats.give_back(gone.who->user);
  if (gone.member != not_admitted) {
    if (gone.member + 1 != members_.size()) {
      members_[gone.member] = std::move(members_.back());
      known_.at(members_[gone.member]->id.serial).member = gone.member;
    }
    members_.pop_back();
    if (const auto of_user = by_user_.find(gone.who->user); of_user != by_user_.end()) {
      if (!planted(defect::user_stays)) std::erase(of_user->second, gone.who);
      if (of_user->second.empty()) by_user_.erase(of_user);
    }
  }
  if (gone.has_user_actor) tell(env_.home_of(gone.who->user).roster, detach_user{gone.who->user});
  report_if_drained();
}

void roster::on(depart& m) {
  const bool clean =
      m.record.final_state == protocol::connection_state::closed && m.record.info.clean;
  if (draining_) {
    ++(clean ? env_.drain.closed : env_.drain.aborted);
    if (here_.aborting && !clean) ++env_.drain.cut;
    count_messages(m.record.counts, 1);
  }
  ++here_.tally.ended[protocol::key_of(m.record.info)];
  protocol::operator+=(departed_, m.record.counts);
  const auto serial = m.record.id.serial;
  closed_.push_front(std::move(m.record));
  if (closed_.size() > closed_records_kept) closed_.pop_back();
  remove(serial);
}

void roster::on_down(const caf::down_msg& down) {
  if (const auto user = user_of_.find(down.source.id()); user != user_of_.end()) {
    // Its behavior threw: its connections are closing, the user's next one gets a new actor.
    if (const auto found = user_actors_.find(user->second); found != user_actors_.end())
      found->second.actor = nullptr;
    user_of_.erase(user);
    return;
  }
  // A connection reports its departure itself; this finds one that could not.
  const auto lost = known_.find(down.source.id());
  if (lost == known_.end()) return;
  const auto id = to_string(lost->second.who->id);
  env_.logger()(severity::error, "connection.lost", {{"id", id}});
  if (draining_) ++env_.drain.aborted;
  if (here_.aborting) ++env_.drain.cut;
  const auto& who = *lost->second.who;
  ++here_.tally
        .ended[{initiator::error, protocol::code_label(close_code::abnormal), severity::error}];
  protocol::operator+=(departed_, actor_of(who).counts_with(who));
  remove(lost->first);
}

void roster::on_crash(std::string_view what) {
  env_.logger()(severity::error, "roster.crashed",
                {{"loop", std::uint64_t{here_.index}}, {"what", what}});
}

// --- users' actors --------------------------------------------------------------------------------------------------

caf::strong_actor_ptr roster::make_user_actor(const std::string& user) {
  const auto failed = [&](std::string_view what) {
    env_.logger()(severity::error, "handler.threw",
                  {{"user", user}, {"handler", "per_user"}, {"what", what}});
    return nullptr;
  };
  try {
    auto what = env_.options.per_user(user);
    if (!what) return failed("per_user returned null");
    auto actor = spawn_companion(shared_unit(), env_, here_, std::move(what), false);
    monitor(actor);
    user_of_.emplace(actor->id(), user);
    return actor;
  } catch (const std::exception& e) {
    return failed(e.what());
  } catch (...) {
    return failed("not a std::exception");
  }
}

void roster::on(const attach_user& m) {
  auto& user = user_actors_[m.who->user];
  ++user.attached;
  user.linger.reset();
  if (draining_) return m.who->close(farewell_.code, farewell_.reason, initiator::shutdown, {});
  if (!user.actor) user.actor = make_user_actor(m.who->user);
  if (!user.actor)
    return m.who->close(close_code::internal_error, "internal error", initiator::error, {});
  tell(env_.loops[m.who->id.loop].roster, user_attached{m.who, user.actor});
}

void roster::on(const detach_user& m) {
  const auto found = user_actors_.find(m.user);
  if (found == user_actors_.end() || --found->second.attached > 0) return;
  if (draining_ || !found->second.actor) return retire_user(m.user);
  found->second.linger = std::make_unique<protocol::timer>(
      [this, user = m.user] { tell(self(), user_linger_passed{user}); });
  loop().schedule(*found->second.linger,
                  loop().now() + protocol::bounded_wait(env_.options.user_linger));
}

void roster::on(const user_linger_passed& m) {
  const auto found = user_actors_.find(m.user);
  // Someone may have come since the timer ran, and even gone again.
  if (found == user_actors_.end() || !found->second.linger || found->second.linger->scheduled())
    return;
  retire_user(m.user);
}

void roster::retire_user(const std::string& user) {
  const auto gone = user_actors_.extract(user);
  if (const auto& actor = gone.mapped().actor) {
    user_of_.erase(actor->id());  // its down message must not be taken for that of its successor
    tell(actor, retire{});
  }
  report_if_drained();
}

// --- sends ----------------------------------------------------------------------------------------------------------

void roster::on(fan_out& m) {
  if (here_.aborting) return;  // it addresses nobody
  waiting_bytes_ += m.what.frame().size();
  waiting_.push_back(std::move(m));
}

void roster::after_run() {
  if (waiting_.empty() || turn_posted_) return;
  turn_posted_ = true;
  seen_waiting_ = waiting_.size();
  loop().post([me = self()] { tell(me, turn_passed{}); });
}

void roster::on(turn_passed) {
  turn_posted_ = false;
  const bool full = waiting_.size() >= max_waiting || waiting_bytes_ >= max_waiting_bytes;
  quiet_turns_ = waiting_.size() > seen_waiting_ ? 0 : quiet_turns_ + 1;
  if (!full && !behind_ && quiet_turns_ < quiet_turns_wanted)
    return;  // after_run asks for another turn
  deliver_waiting(messages_per_run);
}

void roster::deliver_waiting(std::size_t most_messages) {
  quiet_turns_ = 0;
  const auto sent = deliver(waiting_, members_, env_.limits(), most_messages);
  behind_ = sent < waiting_.size();
  const auto rest = waiting_.begin() + static_cast<std::ptrdiff_t>(sent);
  for (auto b = waiting_.begin(); b != rest; ++b) waiting_bytes_ -= b->what.frame().size();
  waiting_.erase(waiting_.begin(), rest);
}

void roster::on(const fan_out_to_user& m) {
  const auto lingering = user_actors_.find(m.user);
  if (lingering != user_actors_.end() && lingering->second.actor) {
    m.counted->lingers();
    if (m.asked) m.asked->lingers();
  }
  const auto found = by_user_.find(m.user);
  if (found == by_user_.end()) return;
  m.counted->meets();
  const fan_out one{m.what, {}, m.asked, {}, m.terms};
  deliver({&one, 1}, found->second, env_.limits());
}

void roster::on(const close_user_connections& m) {
  const auto found = by_user_.find(m.user);
  if (found == by_user_.end()) return;
  for (const auto& who : found->second) {
    auto count = [asked = m.asked](close_result r) {
      if (asked && r == close_result::initiated) asked->add();
    };
    who->close(m.code, m.reason, initiator::application,
               std::make_shared<close_sink>(std::move(count)));
  }
}

void roster::on(send_to_id& m) {
  auto* e = find(m.id);
  if (e) {
    if (m.asked) m.asked->addressed_to(e->who);
    return e->who->send(protocol::as_chunk(m.what, std::move(m.asked)));
  }
  not_found(env_, "send", m.id);
  ++departed_.outcomes[static_cast<std::size_t>(send_result::no_such_connection)];
  if (m.asked) m.asked->settle(send_result::no_such_connection);
}

void roster::on(close_id& m) {
  if (auto* e = find(m.id))
    return e->who->close(m.code, std::move(m.reason), initiator::application, std::move(m.asked));
  not_found(env_, "remove", m.id);
  if (m.asked) m.asked->settle(close_result::no_such_connection);
}

void roster::on(const shed& m) {
  const auto shed_from = [&](std::size_t least) {
    for (const auto& to : members_) {
      if (queued_bytes(env_) <= m.target) return;
      if (auto& actor = actor_of(*to); actor.held() >= least) actor.shed();
    }
  };
  if (m.least > SIZE_MAX / 2) return;
  shed_from(2 * m.least);  // those of greater classes first; of the last one as many as it takes
  shed_from(m.least);
}

void roster::on_exit() {
  here_.refusing = true;
  pace_.cancel();
  leaving_.clear();
  // After an orderly shutdown nobody is left. If it broke, nobody could find those of its loop any more: they end too.
  env_.connections -= known_.size();
  for (const auto& [serial, e] : known_) {
    tell(e.who->actor, abort_now{});
    if (!e.who->user.empty()) env_.seats.give_back(e.who->user);
    if (e.has_user_actor) tell(env_.home_of(e.who->user).roster, detach_user{e.who->user});
  }
  for (auto& [user, actor] : user_actors_) tell(actor.actor, retire{});
  user_actors_.clear();
  user_of_.clear();
  known_.clear();
  members_.clear();
  by_user_.clear();
  waiting_.clear();
}

}  // namespace fairlead::actors
