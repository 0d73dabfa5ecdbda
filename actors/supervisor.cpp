#include "actors/supervisor.hpp"

#include <chrono>
#include <exception>

#include <fairlead/caf/messages.hpp>

#include "actors/fan_out.hpp"

namespace fairlead::actors {

supervisor::supervisor(caf::actor_config& config, std::shared_ptr<loop_unit> unit, environment& env)
    : pinned_actor(config, std::move(unit)),
      env_(env),
      deadline_([this] { tell(self(), stop_deadline{}); }) {}

template <class Message>
void supervisor::tell_rosters(const Message& m) {
  for (auto& here : env_.loops) tell(here.roster, m);
}

caf::behavior supervisor::make_behavior() {
  for (auto& here : env_.loops) monitor(here.roster);
  return {
      [this](const broadcast& m) {
        tell_rosters(fan_out{m.what, m.except, m.asked, m.counted});
      },
      [this](const send_user& m) {
        tell_rosters(fan_out_to_user{m.user, m.what, m.asked});
      },
      [this](const close_user& m) {
        tell_rosters(close_user_connections{m.user, m.code, m.reason, m.asked});
      },
      [this](const broadcast_message& m) -> caf::result<broadcast_summary> {
        auto promise = make_response_promise<broadcast_summary>();
        submit(env_, m.what, m.except,
               std::make_shared<summary_sink>(
                   [promise](const broadcast_summary& s) mutable { promise.deliver(s); }));
        return promise;
      },
      [this](stop& m) { on(m); },
      [this](stop_deadline) {
        env_.logger()(severity::warning, "server.stop_deadline",
                      {{"connections", std::uint64_t{env_.connections}}});
        tell_rosters(abort_all{});
      },
      [this](const roster_drained& m) { on(m); },
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

void supervisor::on(stop& m) {
  if (done_) return;
  done_ = std::move(m.done);
  stop_began_ = loop().now();
  to_drain_ = env_.loops.size();
  loop().schedule(deadline_, stop_began_ + m.deadline);
  tell_rosters(drain{m.code, m.reason});
}

void supervisor::on(const roster_drained& m) {
  summary_.connections += m.counts.connections;
  summary_.closed += m.counts.closed;
  summary_.aborted += m.counts.aborted;
  roster_ended();
}

void supervisor::roster_ended() {
  if (!done_ || --to_drain_ > 0) return;
  tell_rosters(retire{});
  quit();
}

void supervisor::on_down(const caf::down_msg& down) {
  // Rosters end only after the supervisor. One that breaks leaves connections that nobody can find: say so, loudly.
  for (auto& here : env_.loops) {
    if (here.roster->address() != down.source) continue;
    env_.logger()(severity::error, "roster.lost", {{"loop", std::uint64_t{here.index}}});
    return roster_ended();
  }
}

void supervisor::on_crash(std::string_view what) {
  env_.logger()(severity::error, "supervisor.crashed", {{"what", what}});
}

void supervisor::on_exit() {
  deadline_.cancel();
  summary_.took = std::chrono::duration_cast<std::chrono::milliseconds>(loop().now() - stop_began_);
  if (done_) call_back(*done_, summary_);
  done_.reset();
}

}  // namespace fairlead::actors
