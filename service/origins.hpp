#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <fairlead/server.hpp>

/// Which web pages may connect. A browser says by Origin (RFC 6455 10.2) whose page it acts for, and sends that site's
/// cookies along: without this check every page that a user visits could speak here in that user's name.
namespace fairlead::service {

/// What of one entry of an allow-list cannot be used; empty if nothing.
[[nodiscard]] std::string_view origin_problem(std::string_view origin) noexcept;

/// The request's Origin that is not in the list; empty if there is none.
[[nodiscard]] std::string_view forbidden_origin(const upgrade_request&,
                                                const std::vector<std::string>& allowed) noexcept;

}  // namespace fairlead::service
