#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>

#include "net/asio.hpp"
#include "net/http.hpp"

namespace fairlead::net {

using request_head = boost::beast::http::header<true, boost::beast::http::fields>;

/// A refusal that a person can read.
[[nodiscard]] http_response plain_response(unsigned status, std::string reason);

/// The answer to a request that could not be parsed.
[[nodiscard]] http_response answer_to(const error_code& parse_error);

/// What a response looks like on the wire.
struct encoding {
  bool keep_alive = false;
  bool without_body = false;  ///< the request was HEAD
  unsigned version = 11;
};
[[nodiscard]] std::string encode(const http_response&, const encoding&);

}  // namespace fairlead::net
