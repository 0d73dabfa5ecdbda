#include "protocol/machine.hpp"

#include <optional>
#include <utility>

#include "protocol/rules.hpp"

namespace fairlead::protocol {
namespace {

static_assert(rules::total(static_cast<state*>(nullptr), rules::every_event{}));

template <class... States>
constexpr bool named_in_order(const std::variant<States...>*) {
  std::size_t index = 0;
  return ((rules::name_of<States> == static_cast<connection_state>(index++)) && ...);
}
static_assert(named_in_order(static_cast<const state*>(nullptr)),
              "connection_state lists the states in their order");

void enter(state&, rules::stay) noexcept {}
template <class Next>
void enter(state& current, Next&& next) {
  current = std::forward<Next>(next);
}
template <class Next>
void enter(state& current, std::optional<Next>&& next) {
  if (next) current = *std::move(next);
}

}  // namespace

template <event Event>
void detail::apply(state& current, Event&& happened, const limits& bounds, time_point now,
                   effects& out) {
  const rules::context c{bounds, now, out};
  std::visit([&](auto& in) { enter(current, on(in, std::forward<Event>(happened), c)); }, current);
}

template void detail::apply(state&, upgraded&&, const limits&, time_point, effects&);
template void detail::apply(state&, admitted&&, const limits&, time_point, effects&);
template void detail::apply(state&, send&&, const limits&, time_point, effects&);
template void detail::apply(state&, send_again&&, const limits&, time_point, effects&);
template void detail::apply(state&, received&&, const limits&, time_point, effects&);
template void detail::apply(state&, written&&, const limits&, time_point, effects&);
template void detail::apply(state&, ask_close&&, const limits&, time_point, effects&);
template void detail::apply(state&, peer_closed&&, const limits&, time_point, effects&);
template void detail::apply(state&, violated&&, const limits&, time_point, effects&);
template void detail::apply(state&, link_closed&&, const limits&, time_point, effects&);
template void detail::apply(state&, link_failed&&, const limits&, time_point, effects&);
template void detail::apply(state&, deadline_passed&&, const limits&, time_point, effects&);

time_point deadline_of(const state& s) noexcept {
  const auto* const waiting = std::get_if<closing>(&s);
  return waiting ? waiting->deadline : time_point::max();
}

progress excess(const state& s, const chunk& what, const limits& bounds) noexcept {
  const auto* const queue = std::get_if<open>(&s);
  if (!queue) return {};
  const auto over = [](std::uint64_t wanted, std::uint64_t most) {
    return wanted > most ? wanted - most : 0;
  };
  return {static_cast<std::uint32_t>(over(std::uint64_t{queue->queued_messages} + what.frames,
                                          bounds.max_queued_messages)),
          over(queue->queued_bytes + what.size, bounds.max_queued_bytes)};
}

}  // namespace fairlead::protocol
