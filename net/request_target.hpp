#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fairlead::net {

/// A request target taken apart (RFC 7230 5.3): views into it.
struct request_target {
  std::string_view path;   ///< percent-encoded; `*` for a request about the server itself
  std::string_view query;  ///< without the `?`
};

/// Origin form `/path?query`, absolute form `http://host/path?query`, or `*`; nothing if it is none of them.
[[nodiscard]] std::optional<request_target> parse_request_target(std::string_view) noexcept;

/// Resolves `%41` and the like; nothing if a `%` is not followed by two hexadecimal digits.
[[nodiscard]] std::optional<std::string> percent_decoded(std::string_view);

}  // namespace fairlead::net
