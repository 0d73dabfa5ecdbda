// The internal API's bodies and queries. The first byte says which: a request that is fit to be carried out comes of it, or a
// problem that says where and what, of which the 400 is made.
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <boost/json/parse.hpp>

#include "protocol/session_frames.hpp"
#include "protocol/session_options.hpp"
#include "protocol/utf8.hpp"
#include "service/api_request.hpp"
#include "service/debug_query.hpp"
#include "service/http_answer.hpp"
#include "service/json_check.hpp"
#include "service/options.hpp"
#include "service/session_request.hpp"
#include "tests/fuzz/input.hpp"

namespace fairlead::fuzz {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

bool good(const send_options& how) {
  const bool by_key = !how.policy || how.policy == slow_policy::keep_latest;
  return (!how.ttl || (*how.ttl >= 1ms && *how.ttl <= 24h)) &&
         how.key.size() <= service::longest_key && (how.key.empty() || by_key) &&
         (how.policy != slow_policy::keep_latest || !how.key.empty()) &&
         how.refused_ids <= service::most_refused_ids;
}
bool good(const message& data) {
  return data.kind() == message_kind::text && protocol::valid_utf8(data.view());
}
bool good(const service::addressee& to) {
  const auto* user = std::get_if<std::string>(&to);
  return !user || (!user->empty() && protocol::valid_utf8(*user));
}

bool good(const service::send_request& r) { return good(r.to) && good(r.data) && good(r.how); }
bool good(const service::send_all_request& r) { return good(r.data) && good(r.how); }
bool good(const service::disconnect_request& r) {
  return good(r.whom) && may_be_sent(r.code) && valid_close_reason(r.reason);
}
bool good(const drain_options& how) { return service::check(how).empty(); }
bool good(const service::spawn_request& r) {
  return r.type == "session" && r.key.size() <= service::longest_request_key &&
         protocol::valid_utf8(r.how.arguments) &&
         (!r.how.options || protocol::session_options_problem(*r.how.options).empty());
}
bool good(const service::emit_request& r) {
  return !r.session.empty() && !r.type.empty() && service::is_json(r.data) &&
         r.how.key.size() <= service::longest_request_key &&
         r.how.ack_timeout <= service::longest_ack_wait && (r.wait || !r.how.acked);
}
bool good(const service::end_request& r) {
  return !r.session.empty() && valid_close_reason(r.reason);
}
bool good(const std::string& session) { return !session.empty(); }

bool good_limit(std::size_t limit) { return limit >= 1 && limit <= service::most_rows; }
bool good(const service::connections_query& q) { return good_limit(q.limit); }
bool good(std::size_t limit) { return good_limit(limit); }
bool good(const service::sessions_query& q) { return good_limit(q.limit); }
bool good(const service::inbox_query& q) {
  return good_limit(q.limit) && q.wait >= 0ms && q.wait <= service::longest_inbox_wait;
}

template <class Request>
void look(const service::parsed<Request>& request) {
  if (request.has_value()) return promise(good(*request), "what is accepted can be carried out");
  const auto& wrong = request.error();
  promise(!wrong.where.empty() && !wrong.what.empty(), "a problem says where and what");
  const auto answer = service::bad_request(wrong);
  promise(answer.status == 400 && service::is_json(answer.body), "the 400 is JSON");
}

void is_json(std::string_view text) {
  json::error_code failed;
  json::parse(text, failed);
  promise(service::is_json(text) == !failed, "JSON is what the parser takes for JSON");
}

using parser = void (*)(std::string_view);
constexpr std::array<parser, 13> parsers{
    [](std::string_view s) { look(service::parse_send(s)); },
    [](std::string_view s) { look(service::parse_send_all(s)); },
    [](std::string_view s) { look(service::parse_disconnect(s)); },
    [](std::string_view s) { look(service::parse_drain(s, {})); },
    [](std::string_view s) {
      look(service::parse_spawn(s, {{"session", {}}}));
    },
    [](std::string_view s) { look(service::parse_emit(s)); },
    [](std::string_view s) { look(service::parse_end(s)); },
    [](std::string_view s) { look(service::parse_session(s)); },
    [](std::string_view s) { look(service::parse_connections_query(s)); },
    [](std::string_view s) { look(service::parse_closed_query(s)); },
    [](std::string_view s) { look(service::parse_sessions_query(s)); },
    [](std::string_view s) { look(service::parse_inbox_query(s)); },
    &is_json,
};

}  // namespace
}  // namespace fairlead::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fairlead::fuzz::input in(data, size);
  const auto which = in.up_to(fairlead::fuzz::parsers.size());
  fairlead::fuzz::parsers[which](in.rest());
  return 0;
}
