#include "protocol/session_machine.hpp"

#include "protocol/session_rules.hpp"

namespace fairlead::protocol::sessions {
namespace {

static_assert(rules::total(static_cast<state*>(nullptr), rules::every_event{}));
static_assert(std::variant_size_v<state> == session_state_count);

void enter(state&, rules::stay) noexcept {}
template <class Next>
  requires std::constructible_from<state, Next>
void enter(state& current, Next&& next) { current = std::forward<Next>(next); }
template <class Next>
void enter(state& current, std::variant<rules::stay, Next>&& next) {
  if (auto* const entered = std::get_if<Next>(&next)) current = std::move(*entered);
}

}  // namespace

template <event Event>
void detail::apply(state& current, Event&& happened, const session_options& options, time_point now,
                   effects& out) {
  const rules::context c{options, now, out};
  std::visit([&](auto& in) { enter(current, rules::on(in, std::forward<Event>(happened), c)); },
             current);
}

template void detail::apply(state&, ask_attach&&, const session_options&, time_point, effects&);
template void detail::apply(state&, socket_attached&&, const session_options&, time_point,
                            effects&);
template void detail::apply(state&, socket_detached&&, const session_options&, time_point,
                            effects&);
template void detail::apply(state&, emit&&, const session_options&, time_point, effects&);
template void detail::apply(state&, ask_end&&, const session_options&, time_point, effects&);
template void detail::apply(state&, behavior_failed&&, const session_options&, time_point,
                            effects&);
template void detail::apply(state&, owner_lost&&, const session_options&, time_point, effects&);
template void detail::apply(state&, deadline_passed&&, const session_options&, time_point,
                            effects&);

state begin(const session_options& options, time_point now) noexcept {
  return detached{now + options.attach_timeout, {0, now}};
}

time_point deadline_of(const state& s) noexcept {
  return std::visit(
      [](const auto& in) {
        if constexpr (requires { in.deadline; })
          return in.deadline;
        else
          return time_point::max();
      },
      s);
}

}  // namespace fairlead::protocol::sessions
