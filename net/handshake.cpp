#include "net/handshake.hpp"

#include <algorithm>
#include <string_view>

#include <boost/beast/http/rfc7230.hpp>

namespace fairlead::net {
namespace {

namespace http = boost::beast::http;
using http::field;

bool has_token(const request_head& head, field name, std::string_view token) {
  const auto [first, last] = head.equal_range(name);
  return std::any_of(
      first, last, [&](const auto& line) { return http::token_list{line.value()}.exists(token); });
}

bool is_base64_digit(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '/';
}

/// 16 bytes in base64: 22 digits and two signs of padding.
bool is_key(std::string_view value) {
  return value.size() == 24 && value.ends_with("==") &&
         std::all_of(value.begin(), value.end() - 2, is_base64_digit);
}

http_response with_header(http_response response, std::string name, std::string value) {
  response.headers.emplace_back(std::move(name), std::move(value));
  return response;
}

http_response wrong_version() {
  auto answer = plain_response(426, "Sec-WebSocket-Version must be 13");
  answer.headers = {
      {"Sec-WebSocket-Version", "13"}, {"Upgrade", "websocket"}, {"Connection", "Upgrade"}};
  return answer;
}

}  // namespace

bool asks_for_websocket(const request_head& head) {
  return has_token(head, field::upgrade, "websocket") || head.count(field::sec_websocket_key) > 0;
}

std::optional<http_response> fault_of_upgrade(const request_head& head) {
  const auto fault = [](const char* why) { return plain_response(400, why); };
  if (head.method() != http::verb::get)
    return with_header(plain_response(405, "a WebSocket is opened by GET"), "Allow", "GET");
  if (head.version() != 11) return fault("a WebSocket is opened over HTTP/1.1");
  if (head.count(field::host) != 1) return fault("exactly one Host is required");
  if (!has_token(head, field::upgrade, "websocket")) return fault("Upgrade must be websocket");
  if (!has_token(head, field::connection, "upgrade"))
    return fault("Connection must contain upgrade");
  if (head.count(field::sec_websocket_version) != 1 || head[field::sec_websocket_version] != "13")
    return wrong_version();
  if (head.count(field::sec_websocket_key) != 1 || !is_key(head[field::sec_websocket_key]))
    return fault("Sec-WebSocket-Key must be 16 bytes in base64");
  if (head.count(field::transfer_encoding) > 0 ||
      (head.count(field::content_length) > 0 && head[field::content_length] != "0"))
    return fault("an upgrade request has no body");
  return std::nullopt;
}

}  // namespace fairlead::net
