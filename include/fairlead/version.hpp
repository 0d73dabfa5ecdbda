#pragma once

#include <string_view>

namespace fairlead {

/// This library's version: `0.1.0`.
[[nodiscard]] std::string_view version() noexcept;

}  // namespace fairlead
