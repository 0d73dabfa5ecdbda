#include "net/request_target.hpp"

#include <charconv>

#include <boost/beast/core/string.hpp>

namespace fairlead::net {

std::optional<request_target> parse_request_target(std::string_view target) noexcept {
  constexpr std::string_view scheme = "http://";
  if (target == "*") return request_target{target, {}};
  if (boost::beast::iequals(target.substr(0, scheme.size()), scheme)) {
    target.remove_prefix(scheme.size());
    const auto path = target.find_first_of("/?");
    if (path == target.npos) return request_target{"/", {}};
    target.remove_prefix(path);
    if (target.front() == '?') return request_target{"/", target.substr(1)};
  }
  if (target.empty() || target.front() != '/') return std::nullopt;
  const auto question = target.find('?');
  if (question == target.npos) return request_target{target, {}};
  return request_target{target.substr(0, question), target.substr(question + 1)};
}

std::optional<std::string> percent_decoded(std::string_view encoded) {
  std::string decoded;
  decoded.reserve(encoded.size());
  while (!encoded.empty()) {
    if (encoded.front() != '%') {
      decoded += encoded.front();
      encoded.remove_prefix(1);
      continue;
    }
    if (encoded.size() < 3) return std::nullopt;
    unsigned char byte = 0;
    const auto [end, failed] = std::from_chars(encoded.data() + 1, encoded.data() + 3, byte, 16);
    if (failed != std::errc{} || end != encoded.data() + 3) return std::nullopt;
    decoded += static_cast<char>(byte);
    encoded.remove_prefix(3);
  }
  return decoded;
}

}  // namespace fairlead::net
