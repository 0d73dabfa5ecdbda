#pragma once

#include <string>

namespace fairlead::service {

/// For `--version`: Fairlead's version and those of the libraries below it.
[[nodiscard]] std::string versions();

}  // namespace fairlead::service
