#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include <fairlead/log.hpp>
#include <fairlead/server.hpp>

#include "service/problem.hpp"
#include "service/settings.hpp"

/// SIGHUP: the same command line and file, read again.
namespace fairlead::service {

/// Keys whose values differ (`limits.max_queued_bytes`).
struct differences {
  std::vector<std::string> reloadable;
  std::vector<std::string> needs_restart;
};
[[nodiscard]] differences between(const settings& before, const settings& after);

/// Reads everything again: the settings, or all that is wrong with them.
using read_again = std::function<std::variant<settings, std::vector<std::string>>()>;

/// Puts in force what can be, and says what was changed, what needs a restart, or why all stays as it was.
void reload(server&, settings& in_force, const read_again&, log&);

}  // namespace fairlead::service
