#pragma once

#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "net/http.hpp"
#include "service/problem.hpp"

/// The answers of our HTTP endpoints: always one JSON object, errors as `{"error": "...", ...}`.
namespace fairlead::service {

[[nodiscard]] net::http_response json_answer(const boost::json::object&, unsigned status = 200);
/// `{"error": what}`
[[nodiscard]] net::http_response error_answer(unsigned status, std::string_view what);
/// 400 `{"error": "limit: 0 is ...", "field": "limit"}`
[[nodiscard]] net::http_response bad_request(const problem&);
/// /health: 200 for as long as there is somebody to say so. A check that restarts what does not answer asks this.
[[nodiscard]] net::http_response health_answer(bool ready);
/// /ready: 503 from the moment a drain or shutdown begins. A load balancer asks this.
[[nodiscard]] net::http_response ready_answer(bool ready);
/// 405 with Allow (RFC 9110 15.5.6).
[[nodiscard]] net::http_response method_not_allowed(std::string_view method, std::string_view path,
                                                    std::string allowed);

}  // namespace fairlead::service
