#include <algorithm>
#include <array>

#include <fairlead/send_options.hpp>

namespace fairlead {
namespace {

constexpr std::array<std::string_view, 4> names{"disconnect", "drop_newest", "drop_oldest",
                                                "keep_latest"};
static_assert(static_cast<std::size_t>(slow_policy::keep_latest) + 1 == names.size());

}  // namespace

std::string_view to_string(slow_policy policy) noexcept {
  const auto index = static_cast<std::size_t>(policy);
  return index < names.size() ? names[index] : "unknown";
}

std::optional<slow_policy> parse_slow_policy(std::string_view text) noexcept {
  const auto* const found = std::ranges::find(names, text);
  if (found == names.end()) return std::nullopt;
  return static_cast<slow_policy>(found - names.begin());
}

}  // namespace fairlead
