#include "service/origins.hpp"

#include <algorithm>

namespace fairlead::service {
namespace {

constexpr std::string_view any = "*";

bool is_origin_field(std::string_view name) noexcept {
  constexpr std::string_view wanted = "origin";
  return std::ranges::equal(name, wanted, [](char a, char b) { return (a | 0x20) == b; });
}

}  // namespace

std::string_view origin_problem(std::string_view origin) noexcept {
  constexpr std::string_view form =
      R"(give scheme://host or scheme://host:port as browsers send it, such as "https://example.org", or "*" for any page)";
  if (origin == any || origin == "null") return {};
  const auto scheme = origin.find("://");
  if (scheme == 0 || scheme == std::string_view::npos) return form;
  const auto host = origin.substr(scheme + 3);
  const auto usable = [](unsigned char c) {
    return c > 0x20 && c < 0x7F && c != '/' && c != '*' && c != ',' && !(c >= 'A' && c <= 'Z');
  };
  const bool good = !host.empty() && std::ranges::all_of(host, usable) &&
                    std::ranges::all_of(origin.substr(0, scheme), usable);
  return good ? std::string_view{} : form;
}

std::string_view forbidden_origin(const upgrade_request& request,
                                  const std::vector<std::string>& allowed) noexcept {
  if (std::ranges::find(allowed, any) != allowed.end()) return {};
  for (const auto& [name, value] : request.headers) {
    if (is_origin_field(name) && std::ranges::find(allowed, value) == allowed.end())
      return value.empty() ? std::string_view{"an empty one"} : value;
  }
  return {};
}

}  // namespace fairlead::service
