#pragma once

#include <string>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "tests/support/raw_client.hpp"

/// One HTTP request on a connection of its own, over the client that speaks bytes.
namespace fairlead::test {

/// A reply whose body is a JSON object.
struct json_reply {
  unsigned status = 0;
  std::string head;
  boost::json::object body;
  [[nodiscard]] bool has(std::string_view line) const {
    return head.find(line) != std::string::npos;
  }
};

inline http_reply request(const std::string& address, std::string_view method,
                          std::string_view target, std::string_view body = {},
                          std::string_view more_fields = {}) {
  raw_client client{address};
  auto text = std::string{method}
                  .append(" ")
                  .append(target)
                  .append(" HTTP/1.1\r\nHost: 127.0.0.1\r\n")
                  .append(more_fields);
  if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  client.send(text.append("\r\n").append(body));
  return client.receive_reply(method == "HEAD");
}

/// Throws if the body is no JSON object.
inline json_reply ask(const std::string& address, std::string_view method, std::string_view target,
                      std::string_view body = {}, std::string_view more_fields = {}) {
  auto reply = request(address, method, target, body, more_fields);
  return {reply.status, std::move(reply.head), boost::json::parse(reply.body).as_object()};
}
inline json_reply get(const std::string& address, std::string_view target,
                      std::string_view more_fields = {}) {
  return ask(address, "GET", target, {}, more_fields);
}
inline json_reply post(const std::string& address, std::string_view target, std::string_view body) {
  return ask(address, "POST", target, body);
}

}  // namespace fairlead::test
