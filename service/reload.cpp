#include "service/reload.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fairlead/logging.hpp>

#include "service/config_keys.hpp"
#include "service/options.hpp"
#include "service/token_key.hpp"

namespace fairlead::service {
namespace {

bool can_reload(const config_key& key) {
  static constexpr std::array<std::string_view, 3> single{"listen.origins", "internal.token",
                                                          "log.level"};
  return key.section == "limits" || key.section == "drain" ||
         std::find(single.begin(), single.end(), key.full_name()) != single.end();
}

void refuse(log& out, std::string_view what) {
  out(severity::warning, "config.reload_failed", {{"what", what}});
}

}  // namespace

differences between(const settings& before, const settings& after) {
  differences found;
  for (const auto& key : config_keys()) {
    if (key.show(before) == key.show(after)) continue;
    (can_reload(key) ? found.reloadable : found.needs_restart).push_back(key.full_name());
  }
  return found;
}

void reload(server& s, settings& in_force, const read_again& read, log& out) {
  auto again = read();
  if (const auto* wrong = std::get_if<std::vector<std::string>>(&again)) {
    for (const auto& line : *wrong) refuse(out, line);
    return;
  }
  const auto& wanted = std::get<settings>(again);
  const auto found = between(in_force, wanted);
  // All of it before anything is changed.
  if (const auto wrong = check_reload(in_force.server, wanted.server); !wrong.empty()) {
    for (const auto& p : wrong) refuse(out, p.where + ": " + p.what);
    return;
  }
  try {
    // The files it began with. One that is bad leaves both as they were.
    const auto& jwt = in_force.server.jwt;
    if (jwt.enabled()) static_cast<void>(load_token_key(jwt));
    if (!in_force.server.tls.certificate.empty()) s.reload_tls();
    if (jwt.enabled()) s.reload_jwt();
    s.reload(wanted.server);
  } catch (const std::exception& e) {
    return refuse(out, e.what());
  }
  set_least_severity(out, wanted.log_level);
  in_force.server.limits = wanted.server.limits;
  in_force.server.drain = wanted.server.drain;
  in_force.server.origins = wanted.server.origins;
  in_force.server.internal_token = wanted.server.internal_token;
  in_force.log_level = wanted.log_level;
  const auto changed = fmt::format("{}", fmt::join(found.reloadable, " "));
  const auto restart = fmt::format("{}", fmt::join(found.needs_restart, " "));
  out(restart.empty() ? severity::info : severity::warning, "config.reloaded",
      {{"changed", std::string_view{changed}}, {"needs_restart", std::string_view{restart}}});
}

}  // namespace fairlead::service
