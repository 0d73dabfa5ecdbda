#include "actors/queue_budget.hpp"

#include <algorithm>

#include "actors/messages.hpp"
#include "protocol/defect.hpp"

namespace fairlead::actors {

std::size_t queued_bytes(const environment& env) noexcept {
  std::size_t total = 0;
  for (const auto& l : env.loops) total += l.queued.total();
  return total;
}

void look_at_budget(environment& env, loop_context& here) {
  const auto budget = env.limits().max_total_queued_bytes;
  const auto step = std::max<std::size_t>(1, budget / (16 * env.loops.size()));
  const auto held = here.queued.total();
  if (held < here.look_at) {
    here.look_at = std::min(here.look_at, held + step);
    return;
  }
  here.look_at = held + step;
  if (queued_bytes(env) <= budget || protocol::planted(protocol::defect::no_budget)) return;
  const auto target = budget - budget / 8;
  const shed order{protocol::least_to_go(
                       env.loops, target, [](const auto& l) -> const auto& { return l.queued; }),
                   target};
  for (const auto& l : env.loops) tell(l.roster, order);
}

}  // namespace fairlead::actors
