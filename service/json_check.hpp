#pragma once

#include <string_view>

namespace fairlead::service {

/// Whether this is one JSON value (RFC 8259), nested at most 32 deep, and nothing else. Keeps nothing of it. Any thread.
[[nodiscard]] bool is_json(std::string_view) noexcept;

}  // namespace fairlead::service
