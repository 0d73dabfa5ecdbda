#include "service/http_answer.hpp"

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "service/text.hpp"

namespace fairlead::service {

net::http_response json_answer(const boost::json::object& body, unsigned status) {
  // What is shown here is old in a moment; nothing between may keep it.
  return {.status = status,
          .content_type = "application/json",
          .body = boost::json::serialize(body) + '\n',
          .headers = {{"Cache-Control", "no-store"}}};
}

net::http_response error_answer(unsigned status, std::string_view what) {
  return json_answer({{"error", valid_utf8(what)}}, status);
}

net::http_response bad_request(const problem& p) {
  if (p.where.empty()) return error_answer(400, p.what);
  return json_answer({{"error", valid_utf8(fmt::format("{}: {}", p.where, p.what))},
                      {"field", valid_utf8(p.where)}},
                     400);
}

net::http_response health_answer(bool ready) {
  return json_answer({{"status", ready ? "ok" : "draining"}});
}

net::http_response ready_answer(bool ready) {
  return json_answer({{"status", ready ? "ready" : "draining"}}, ready ? 200 : 503);
}

net::http_response method_not_allowed(std::string_view method, std::string_view path,
                                      std::string allowed) {
  auto answer =
      error_answer(405, fmt::format("{} is not allowed for {}; use {}", method, path, allowed));
  answer.headers.emplace_back("Allow", std::move(allowed));
  return answer;
}

}  // namespace fairlead::service
