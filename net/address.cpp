#include "net/address.hpp"

#include <charconv>
#include <cstdint>
#include <system_error>

namespace fairlead::net {
namespace {

[[noreturn]] void refuse_address(const std::string& address, const char* why) {
  throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                          "'" + address + "' is no address to listen on: " + why);
}

std::uint16_t parse_port(const std::string& address, std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (failed != std::errc{} || end != text.data() + text.size())
    refuse_address(address, "the port must be a number from 0 to 65535");
  return port;
}

}  // namespace

asio::ip::tcp::endpoint parse_address(const std::string& address) {
  const auto colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0)
    refuse_address(address, "expected host:port or [::1]:port");
  const auto port = parse_port(address, std::string_view(address).substr(colon + 1));
  std::string host = address.substr(0, colon);
  if (host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string::npos)
    refuse_address(address, "an IPv6 address stands in brackets, as in [::1]:8000");

  error_code failed;
  if (const auto numeric = asio::ip::make_address(host, failed); !failed) return {numeric, port};
  asio::io_context context;
  asio::ip::tcp::resolver resolver(context);
  const auto found =
      resolver.resolve(host, std::to_string(port), asio::ip::tcp::resolver::passive, failed);
  if (failed) throw std::system_error(failed, "cannot resolve '" + address + "'");
  return found.begin()->endpoint();
}

std::string to_string(const asio::ip::tcp::endpoint& endpoint) {
  const auto host = endpoint.address().to_string();
  const auto port = std::to_string(endpoint.port());
  return endpoint.address().is_v6() ? "[" + host + "]:" + port : host + ":" + port;
}

}  // namespace fairlead::net
