#include "service/address.hpp"

#include <charconv>

#include <boost/asio/ip/address.hpp>

namespace fairlead::service {
namespace {

std::optional<boost::asio::ip::address> literal(std::string_view host) noexcept {
  boost::system::error_code error;
  const auto found = boost::asio::ip::make_address(host, error);
  if (error) return {};
  return found;
}

}  // namespace

std::optional<address> parse_address(std::string_view text) noexcept {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return {};
  auto host = text.substr(0, colon);
  const auto digits = text.substr(colon + 1);

  std::uint16_t port = 0;
  const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || rest != digits.data() + digits.size()) return {};

  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    if (const auto ip = literal(host); !ip || !ip->is_v6()) return {};
  } else if (host.empty() || host.find_first_of(":[]/@ \t") != std::string_view::npos) {
    return {};  // an IPv6 address without brackets could be read in two ways
  }
  return address{std::string{host}, port};
}

bool is_loopback(const address& a) noexcept {
  if (a.host == "localhost") return true;
  const auto ip = literal(a.host);
  return ip && ip->is_loopback();
}

bool is_literal_host(std::string_view host) noexcept {
  std::string_view name = host;
  if (name.starts_with('[')) {
    name = name.substr(1, name.find(']') - 1);
  } else {
    name = name.substr(0, name.find(':'));
  }
  return name == "localhost" || literal(name).has_value();
}

}  // namespace fairlead::service
