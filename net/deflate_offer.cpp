#include "net/deflate_offer.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/field.hpp>

namespace fairlead::net {
namespace {

namespace http = boost::beast::http;
using boost::beast::iequals;

constexpr int most_bits = 15;

/// RFC 7692 7.1.2: 8 to 15, without a leading zero.
std::optional<int> window_bits(std::string_view text) {
  if (text.size() == 1 && (text[0] == '8' || text[0] == '9')) return text[0] - '0';
  if (text.size() == 2 && text[0] == '1' && text[1] >= '0' && text[1] <= '5')
    return 10 + text[1] - '0';
  return std::nullopt;
}

/// The piece before the next `mark`, without spaces around it; `rest` becomes what is behind the mark. Beast's own list of
/// extensions loses parameters without a value.
std::string_view next_piece(std::string_view& rest, char mark) {
  const auto end = std::min(rest.find(mark), rest.size());
  auto piece = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  const auto first = std::min(piece.find_first_not_of(" \t"), piece.size());
  piece.remove_prefix(first);
  return piece.substr(0, piece.find_last_not_of(" \t") + 1);
}

/// One offer's parameters: an unknown one, a wrong value or one that comes twice declines it (RFC 7692 7.1).
std::optional<deflate_agreement> accept_offer(std::string_view parameters) {
  static constexpr std::array<std::string_view, 4> names{
      "server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits",
      "client_max_window_bits"};
  std::array<bool, names.size()> seen{};
  deflate_agreement agreed;
  while (!parameters.empty()) {
    auto value = next_piece(parameters, ';');
    const bool has_value = value.find('=') != std::string_view::npos;
    const auto name = next_piece(value, '=');
    value = next_piece(value, ';');
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    std::size_t which = 0;
    while (which < names.size() && !iequals(name, names[which])) ++which;
    if (which == names.size() || std::exchange(seen[which], true)) return std::nullopt;
    const auto bits = window_bits(value);
    if (which < 2 && has_value) return std::nullopt;
    if (which >= 2 && has_value && !bits) return std::nullopt;
    if (which == 2 && !bits) return std::nullopt;
    if (which == 2) agreed.window_bits = *bits;
    // What a client would do if it were asked to does not matter: what it sends may have any window here.
  }
  return agreed;
}

}  // namespace

std::string deflate_agreement::response() const {
  std::string text = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
  if (window_bits < most_bits) text += "; server_max_window_bits=" + std::to_string(window_bits);
  return text;
}

std::optional<deflate_agreement> accept_deflate(const request_head& head) {
  const auto [first, last] = head.equal_range(http::field::sec_websocket_extensions);
  for (auto line = first; line != last; ++line) {
    for (std::string_view offers = line->value(); !offers.empty();) {
      auto parameters = next_piece(offers, ',');
      if (!iequals(next_piece(parameters, ';'), "permessage-deflate")) continue;
      if (auto agreed = accept_offer(parameters)) return agreed;
    }
  }
  return std::nullopt;
}

}  // namespace fairlead::net
