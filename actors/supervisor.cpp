#include "actors/supervisor.hpp"

#include <algorithm>
#include <chrono>

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
  rosters_.resize(env_.loops.size());
  for (auto& here : env_.loops) monitor(here.roster);
  return {
      [this](const broadcast& m) {
        tell_rosters(fan_out{m.what, m.except, m.asked, m.counted});
      },
      [this](const send_user& m) {
        tell_rosters(fan_out_to_user{m.user, m.what, m.asked, m.counted});
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

// Stopping has two phases: shut the input and wait until nobody is left on any loop, then let the rosters go.

void supervisor::on(stop& m) {
  asked_.push_back(std::move(m.asked));
  if (phase_ != phase::serving) return;
  phase_ = phase::draining;
  stop_began_ = loop().now();
  loop().schedule(deadline_, stop_began_ + m.deadline);
  tell_rosters(drain{m.code, m.reason});
  take_down();
}

void supervisor::on(const roster_drained& m) {
  summary_.connections += m.counts.connections;
  summary_.closed += m.counts.closed;
  summary_.aborted += m.counts.aborted;
  rosters_[m.loop].drained = true;
  take_down();
}

void supervisor::take_down() {
  const auto drained = [](const child& c) { return c.drained || c.ended; };
  if (phase_ == phase::draining && std::ranges::all_of(rosters_, drained)) {
    phase_ = phase::retiring;
    deadline_.cancel();
    tell_rosters(retire{});
  }
  if (phase_ == phase::retiring && std::ranges::all_of(rosters_, &child::ended)) quit();
}

void supervisor::on_down(const caf::down_msg& down) {
  for (auto& here : env_.loops) {
    if (here.roster->address() != down.source) continue;
    rosters_[here.index].ended = true;
    // One that breaks takes the connections of its loop with it: nobody could find them any more. Say so, loudly.
    if (phase_ != phase::retiring)
      env_.logger()(severity::error, "roster.lost", {{"loop", std::uint64_t{here.index}}});
    return take_down();
  }
}

void supervisor::on_crash(std::string_view what) {
  env_.logger()(severity::error, "supervisor.crashed", {{"what", what}});
}

void supervisor::on_exit() {
  env_.over = true;
  deadline_.cancel();
  if (phase_ != phase::retiring)
    tell_rosters(retire{});  // it broke: better nothing than half of it
  if (phase_ != phase::serving)
    summary_.took =
        std::chrono::duration_cast<std::chrono::milliseconds>(loop().now() - stop_began_);
  env_.stopped->set(summary_);
  asked_.clear();
}

}  // namespace fairlead::actors
