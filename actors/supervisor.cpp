#include "actors/supervisor.hpp"

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

#include <fairlead/caf/messages.hpp>

#include "actors/fan_out.hpp"
#include "protocol/drain.hpp"
#include "protocol/frame.hpp"

namespace fairlead::actors {

supervisor::supervisor(caf::actor_config& config, std::shared_ptr<loop_unit> unit, environment& env)
    : pinned_actor(config, std::move(unit)),
      env_(env),
      grace_([this] { tell(self(), grace_over{}); }),
      deadline_([this] { tell(self(), stop_deadline{}); }) {}

template <class Message>
void supervisor::tell_rosters(const Message& m) {
  for (auto& here : env_.loops) tell(here.roster, m);
}

/// Here, where it passes once for all loops. Not if it is too large for any queue.
message supervisor::compressed(const message& what) const {
  const auto& compress = env_.options.compress;
  return compress && what.frame().size() <= protocol::largest_frame(env_.limits()) ? compress(what)
                                                                                   : what;
}

caf::behavior supervisor::make_behavior() {
  rosters_.resize(env_.loops.size());
  for (auto& here : env_.loops) monitor(here.roster);
  return {
      [this](const broadcast& m) {
        tell_rosters(fan_out{compressed(m.what), m.except, m.asked, m.counted, m.terms});
      },
      [this](const send_user& m) {
        tell_rosters(fan_out_to_user{m.user, m.what, m.asked, m.counted, m.terms});
      },
      [this](const close_user& m) {
        tell_rosters(close_user_connections{m.user, m.code, m.reason, m.asked});
      },
      [this](const broadcast_message& m) -> caf::result<broadcast_summary> {
        auto promise = make_response_promise<broadcast_summary>();
        // The last roster to be done answers, on its own loop's thread.
        auto answer = [asked = static_cast<caf::response_promise&>(promise), me = self()](
                          const broadcast_summary& s) { deliver_from_any_thread(asked, me, s); };
        submit(env_, m.what, m.except, m.how,
               std::make_shared<summary_sink>(std::move(answer), m.how.refused_ids));
        return promise;
      },
      [this](begin_drain& m) { on(m); },
      [this](grace_over) {
        if (env_.drain.phase == drain_phase::grace) close_everyone();
      },
      [this](stop& m) { on(m); },
      [this](stop_deadline m) { on(m); },
      [this](const roster_drained& m) { on(m); },
      [this](const enroll_session& m) {
        sessions_.emplace(m.who->actor->id(), m.who);
        monitor(m.who->actor);
      },
      [this](view_supervisor) {
        tree_node node;
        node.name = "supervisor";
        node.actor = id();
        node.mailbox = mailbox().size();
        node.connections = env_.connections;
        return node;
      },
  };
}

// Going down: grace, then the input is shut and connections are closed, then nobody is left. A drain ends there; a stop
// goes on and lets the rosters go.

void supervisor::begin(std::chrono::milliseconds timeout) {
  const auto now = loop().now();
  if (env_.drain.phase == drain_phase::serving) began_ = now;
  const auto end = now + protocol::bounded_wait(timeout);
  if (end >= deadline_at_) return;
  deadline_at_ = end;
  loop().schedule(deadline_, end);
}

/// Who begins to close then, as `how_` says, has told all so much later; whoever asked for less before still gets that.
void supervisor::close_within(protocol::time_point from) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_at_ - from);
  all_told_by_ = std::min(all_told_by_, from + protocol::spread_of(how_, env_.connections, left));
}

void supervisor::on(begin_drain& m) {
  if (env_.drain.phase == drain_phase::drained) return;  // answered as `m` is let go
  if (m.closing) closing_.push_back(std::move(m.closing));
  asked_to_drain_.push_back(std::move(m.asked));
  if (stopping_) return;
  if (env_.drain.phase == drain_phase::grace) close_within(began_ + how_.grace);
  begin(m.how.timeout);
  how_ = std::move(m.how);
  env_.logger()(severity::info, "server.draining",
                {{"connections", std::uint64_t{env_.connections}},
                 {"grace_ms", std::int64_t{how_.grace.count()}},
                 {"timeout_ms", std::int64_t{how_.timeout.count()}}});
  if (env_.drain.phase != drain_phase::serving || how_.grace.count() <= 0) return close_everyone();
  env_.drain.phase = drain_phase::grace;
  loop().schedule(grace_, began_ + how_.grace);
}

void supervisor::on(stop& m) {
  asked_to_stop_.push_back(std::move(m.asked));
  if (std::exchange(stopping_, true)) return;
  sessions_until_ = loop().now() + protocol::bounded_wait(m.deadline);
  if (env_.drain.phase == drain_phase::drained) return take_down();
  begin(m.deadline);
  // All at once: the order matters to nobody, and any seed will do.
  how_ = {.spread = std::chrono::milliseconds{0},
          .code = m.code,
          .reason = std::move(m.reason),
          .seed = 1};
  close_everyone();
}

void supervisor::close_everyone() {
  grace_.cancel();
  env_.drain.phase = drain_phase::closing;
  env_.sessions.seal();  // nobody could attach to a new one
  for (const auto& call : std::exchange(closing_, {})) call();
  close_within(loop().now());
  const auto seed = how_.seed != 0 ? how_.seed : std::random_device{}();
  tell_rosters(drain{how_.code, how_.reason, all_told_by_, seed});
  take_down();
}

void supervisor::on(stop_deadline) {
  if (env_.drain.phase == drain_phase::drained) return cut_late_sessions();
  if (env_.drain.phase == drain_phase::grace) close_everyone();
  env_.logger()(severity::warning, "server.stop_deadline",
                {{"connections", std::uint64_t{env_.connections}}});
  tell_rosters(abort_all{});
}

void supervisor::on(const roster_drained& m) {
  rosters_[m.loop].drained = true;
  take_down();
}

/// Nobody is left.
void supervisor::drained() {
  const auto positive = [](std::int64_t n) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(n, 0));
  };
  const auto& counts = env_.drain;
  deadline_.cancel();  // the connections'
  summary_ = {.connections = counts.connections,
              .closed = counts.closed,
              .aborted = counts.aborted,
              .cut = counts.cut,
              .messages_written = positive(counts.messages_written),
              .messages_refused = positive(counts.messages_refused),
              .took = std::chrono::duration_cast<std::chrono::milliseconds>(loop().now() - began_)};
  env_.stopped->set(summary_);
  env_.drain.phase = drain_phase::drained;
  if (!asked_to_drain_.empty()) {
    env_.logger()(severity::info, "server.drained",
                  {{"connections", summary_.connections},
                   {"closed", summary_.closed},
                   {"aborted", summary_.aborted},
                   {"cut", summary_.cut},
                   {"messages_written", summary_.messages_written},
                   {"messages_refused", summary_.messages_refused},
                   {"took_ms", std::int64_t{summary_.took.count()}}});
  }
  asked_to_drain_.clear();
}

void supervisor::take_down() {
  const auto empty = [](const child& c) { return c.drained || c.ended; };
  if (env_.drain.phase == drain_phase::closing && std::ranges::all_of(rosters_, empty)) drained();
  if (env_.drain.phase != drain_phase::drained || !stopping_) return;
  if (!std::exchange(sessions_end_, true)) {
    end_sessions();
    loop().schedule(deadline_, sessions_until_);
    cut_late_sessions();
  }
  if (sessions_.empty() && !std::exchange(retiring_, true)) tell_rosters(retire{});
  if (retiring_ && std::ranges::all_of(rosters_, &child::ended)) quit();
}

void supervisor::end_sessions() {
  env_.sessions.seal();  // again, if it ends without a drain
  for (const auto& session : env_.sessions.all()) {
    session->begin_end();
    tell(session->actor, retire{});
  }
}

/// What waits in their mailboxes is not waited for once the stop's own deadline has passed: that of a drain before it was
/// for connections.
void supervisor::cut_late_sessions() {
  if (!stopping_ || sessions_.empty() || loop().now() < sessions_until_) return;
  env_.logger()(severity::warning, "server.sessions_cut",
                {{"sessions", std::uint64_t{sessions_.size()}}});
  for (const auto& [id, session] : sessions_) session->cut();
}

void supervisor::on_down(const caf::down_msg& down) {
  if (const auto session = sessions_.find(down.source.id()); session != sessions_.end()) {
    sessions_.erase(session);
    return take_down();
  }
  for (auto& here : env_.loops) {
    if (here.roster->address() != down.source) continue;
    rosters_[here.index].ended = true;
    // One that breaks takes the connections of its loop with it: nobody could find them any more. Say so, loudly.
    if (!retiring_)
      env_.logger()(severity::error, "roster.lost", {{"loop", std::uint64_t{here.index}}});
    return take_down();
  }
}

void supervisor::on_crash(std::string_view what) {
  env_.logger()(severity::error, "supervisor.crashed", {{"what", what}});
}

void supervisor::on_exit() {
  env_.over = true;
  grace_.cancel();
  deadline_.cancel();
  if (!retiring_) end_sessions();
  sessions_.clear();
  if (!retiring_) tell_rosters(retire{});  // it broke: better nothing than half of it
  asked_to_drain_.clear();
  asked_to_stop_.clear();
}

}  // namespace fairlead::actors
