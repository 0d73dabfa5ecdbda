#include <array>

#include <fairlead/session.hpp>

namespace fairlead {
namespace {

template <std::size_t N, class Enum>
std::string_view name_of(const std::array<std::string_view, N>& names, Enum value) noexcept {
  const auto i = static_cast<std::size_t>(value);
  return i < N ? names[i] : "unknown";
}

}  // namespace

std::string_view to_string(session_state s) noexcept {
  static constexpr std::array<std::string_view, session_state_count> names{"detached", "attached",
                                                                           "reconnecting", "ended"};
  return name_of(names, s);
}

std::string_view to_string(session_ender e) noexcept {
  static constexpr std::array<std::string_view, session_ender_count> names{
      "application", "behavior", "owner", "never_attached", "abandoned", "age", "shutdown"};
  return name_of(names, e);
}

std::string_view to_string(emit_result r) noexcept {
  static constexpr std::array<std::string_view, emit_result_count> names{
      "written",  "kept",      "acked",        "unacked",        "ended",
      "overflow", "too_large", "invalid_data", "no_such_session"};
  return name_of(names, r);
}

std::string_view to_string(spawn_result r) noexcept {
  static constexpr std::array<std::string_view, 6> names{"spawned", "exists",   "unknown_type",
                                                         "invalid", "too_many", "shutting_down"};
  return name_of(names, r);
}

}  // namespace fairlead
