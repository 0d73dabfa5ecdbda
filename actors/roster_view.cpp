#include <chrono>
#include <utility>

#include "actors/connection_actor.hpp"
#include "actors/roster.hpp"

/// What a roster tells of its loop: to the debug endpoint and to metrics.
namespace fairlead::actors {

tree_node roster::node(std::chrono::steady_clock::time_point asked_at) {
  tree_node n;
  n.name = "roster-" + std::to_string(here_.index);
  n.actor = id();
  n.mailbox = mailbox().size();
  n.connections = known_.size();
  n.by_state = here_.by_state;
  n.users = by_user_.size();
  n.behaviors = here_.behaviors;
  n.queued_bytes = here_.queued.total();
  n.loop_lag = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - asked_at);
  return n;
}

roster_view roster::view(const view_roster& m) {
  roster_view v{node(m.asked_at), {}};
  v.connections.reserve(known_.size());
  for (const auto& [serial, e] : known_) v.connections.push_back(e.who);
  return v;
}

/// Connections count for themselves, so that no message costs more for being counted here. What they have counted is
/// added up when somebody asks, some of them in each turn of the loop, so that nobody waits for it.
struct metrics_walk {
  loop_snapshot result;
  std::vector<core_ptr> left;
  caf::typed_response_promise<loop_snapshot> answer;
};

caf::result<loop_snapshot> roster::on(const view_metrics& m) {
  auto walk = std::make_shared<metrics_walk>();
  walk->result = {node(m.asked_at), {.tally = here_.tally, .totals = departed_}};
  if (here_.index == 0) {  // the whole server's, once
    auto& outcomes = walk->result.counts.totals.outcomes;
    outcomes[static_cast<std::size_t>(send_result::no_such_connection)] +=
        env_.unmet->no_such_connection;
    outcomes[static_cast<std::size_t>(send_result::reconnecting)] += env_.unmet->reconnecting;
    outcomes[static_cast<std::size_t>(send_result::closed)] += env_.unmet->closed;
    outcomes[static_cast<std::size_t>(send_result::failed)] += env_.unmet->failed;
  }
  walk->left.reserve(known_.size());
  // Who ends meanwhile is counted as it was, and is not in `departed_` yet: so sums never go back.
  for (const auto& [serial, e] : known_) walk->left.push_back(e.who);
  walk->answer = make_response_promise<loop_snapshot>();
  count_some first{walk};
  on(first);
  return walk->answer;
}

void roster::on(count_some& m) {
  constexpr std::size_t at_once = 512;
  auto& [result, left, answer] = *m.walk;
  for (std::size_t i = 0; i < at_once && !left.empty(); ++i, left.pop_back()) {
    const auto& who = *left.back();
    protocol::operator+=(result.counts.totals, actor_of(who).counts_with(who));
    if (who.ended() != send_result::written) continue;
    result.counts.queued_messages += who.queued().messages();
    result.counts.queued_bytes += who.queued().bytes();
    result.counts.mailboxes += actor_of(who).mailbox_size();
  }
  if (left.empty())
    answer.deliver(std::move(result));
  else
    loop().post([me = self(), walk = std::move(m.walk)] { tell(me, count_some{walk}); });
}

}  // namespace fairlead::actors
