#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

#include "service/settings.hpp"

namespace fairlead::service {

/// One key of the configuration file.
struct config_key {
  std::string section, name;
  std::string about;  ///< for the reference
  /// Sets it; returns what was wrong and what would be right, or nothing.
  std::function<std::string(settings&, const toml::node&)> read;
  std::function<std::string(const settings&)> show;  ///< the value as TOML

  [[nodiscard]] std::string full_name() const { return section + '.' + name; }
};

/// All there are, by section.
[[nodiscard]] const std::vector<config_key>& config_keys();

}  // namespace fairlead::service
