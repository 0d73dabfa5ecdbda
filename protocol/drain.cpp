#include "protocol/drain.hpp"

#include <algorithm>

namespace fairlead {

std::string_view to_string(drain_phase p) noexcept {
  switch (p) {
  case drain_phase::serving: return "serving";
  case drain_phase::grace: return "grace";
  case drain_phase::closing: return "closing";
  case drain_phase::drained: return "drained";
  }
  return "unknown";
}

}  // namespace fairlead

namespace fairlead::protocol {

using std::chrono::milliseconds;

milliseconds spread_of(const drain_options& how, std::size_t connections,
                       milliseconds left) noexcept {
  const auto at_rate =
      milliseconds{static_cast<milliseconds::rep>(connections) * 1000 / std::max(how.rate, 1U)};
  return std::max(milliseconds{0}, std::min({how.spread, at_rate, left / 2}));
}

std::size_t due(std::size_t all, milliseconds elapsed, milliseconds spread) noexcept {
  if (elapsed >= spread) return all;
  const auto share = static_cast<double>(elapsed.count()) / static_cast<double>(spread.count());
  return std::min(all, static_cast<std::size_t>(static_cast<double>(all) * share));
}

}  // namespace fairlead::protocol
