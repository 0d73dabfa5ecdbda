#pragma once

#include <string>

#include <fairlead/session.hpp>

namespace fairlead::protocol {

/// What of these cannot be used, where, and what would be right; empty if nothing.
[[nodiscard]] std::string session_options_problem(const session_options&);

}  // namespace fairlead::protocol
