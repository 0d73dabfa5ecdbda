#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "service/settings.hpp"

/// The configuration file: TOML, every key known, every value checked.
namespace fairlead::service {

/// One thing wrong with a file. Shown as `fairlead.toml:3: limits.max_mesage_size: there is no such key; ...`.
struct config_problem {
  std::string file;
  unsigned line = 0;  ///< from 1; 0 where the file as a whole is meant
  std::string key;    ///< `section.key`; empty where no key is meant
  std::string what;
};
[[nodiscard]] std::string to_string(const config_problem&);

struct loaded_config {
  settings values;                        ///< as given, where the file says nothing
  std::vector<config_problem> problems;   ///< all of them, in the order of the file
  std::map<std::string, unsigned> lines;  ///< where each key was set
};

/// Reads a text as the file `name`, over `defaults`.
[[nodiscard]] loaded_config parse_config(std::string_view text, std::string_view name,
                                         settings defaults = {});
[[nodiscard]] loaded_config load_config(const std::string& path, settings defaults = {});
/// The same, and what only the settings together can tell: for a file that is to stand alone.
[[nodiscard]] loaded_config check_config(const std::string& path);

/// A file that has every key with its default and what it means: what `--help` and `default-config` print.
[[nodiscard]] std::string default_config();

}  // namespace fairlead::service
