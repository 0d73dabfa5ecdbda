#pragma once

#include <iosfwd>
#include <string>
#include <variant>
#include <vector>

#include "service/settings.hpp"

/// The program's arguments. The command line wins over the file, the file over the defaults.
namespace fairlead::service {

inline constexpr int exit_clean = 0, exit_failure = 1, exit_usage = 2, exit_cut = 3;

/// `fairlead serve`, with everything read and checked.
struct serve_command {
  settings values;
};
/// Everything is said and done already: `--help`, `--version`, `default-config`, `check-config`, or an error.
struct finished {
  int exit_code = exit_clean;
};

/// Reads the arguments and the file that they name; writes help and answers to `out`, errors to `err`.
[[nodiscard]] std::variant<serve_command, finished>
parse_command_line(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

/// The same arguments once more, and what their files say by now: the settings, or what is wrong with them. The mode that
/// is in force stays until a restart, so what is not said is as it decides.
[[nodiscard]] std::variant<settings, std::vector<std::string>>
parse_again(int argc, const char* const* argv, plain_mode in_force);

}  // namespace fairlead::service
