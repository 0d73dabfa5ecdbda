#include "net/http_message.hpp"

#include <utility>

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>

namespace fairlead::net {
namespace {

namespace http = boost::beast::http;

bool has_no_content(unsigned status) { return status < 200 || status == 204 || status == 304; }

}  // namespace

std::string_view http_request::header(std::string_view name) const noexcept {
  for (const auto& [field, value] : headers) {
    if (boost::beast::iequals(field, name)) return value;
  }
  return {};
}

http_response plain_response(unsigned status, std::string reason) {
  reason += '\n';
  return {status, "text/plain; charset=utf-8", std::move(reason), {}};
}

http_response answer_to(const error_code& parse_error) {
  if (parse_error == http::error::header_limit || parse_error == http::error::buffer_overflow)
    return plain_response(431, "the request line and header fields are too large");
  if (parse_error == http::error::body_limit) return plain_response(413, "the body is too large");
  if (parse_error == http::error::bad_version)
    return plain_response(505, "HTTP/1.1 and HTTP/1.0 are spoken here");
  return plain_response(400, "not a valid HTTP request: " + parse_error.message());
}

std::string encode(const http_response& response, const encoding& how) {
  http::response<http::string_body> message;
  message.version(how.version);
  message.result(response.status);
  message.set(http::field::server, "Fairlead");
  for (const auto& [name, value] : response.headers) message.insert(name, value);
  if (!has_no_content(response.status)) {
    message.set(http::field::content_type, response.content_type);
    message.content_length(response.body.size());
    if (!how.without_body) message.body() = response.body;
  }
  message.keep_alive(how.keep_alive);

  http::response_serializer<http::string_body> serializer(message);
  std::string bytes;
  error_code failed;
  while (!serializer.is_done() && !failed) {
    serializer.next(failed, [&](error_code&, const auto& buffers) {
      bytes += boost::beast::buffers_to_string(buffers);
      serializer.consume(boost::beast::buffer_bytes(buffers));
    });
  }
  return bytes;
}

}  // namespace fairlead::net
