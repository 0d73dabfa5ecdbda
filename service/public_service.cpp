#include "service/public_service.hpp"

#include <fmt/format.h>

#include "service/attach_query.hpp"
#include "service/http_answer.hpp"
#include "service/origins.hpp"
#include "service/text.hpp"

namespace fairlead::service {
namespace {

net::http_response upgrade_required(std::string_view path) {
  auto answer =
      error_answer(426, fmt::format("{} speaks WebSocket; connect with a WebSocket client", path));
  answer.headers.emplace_back("Upgrade", "websocket");  // RFC 9110 15.5.22
  answer.headers.emplace_back("Connection", "Upgrade");
  return answer;
}

}  // namespace

void public_service::handle(const net::http_request& request, net::respond respond) {
  const bool is_health = request.path == "/health" || request.path == "/ready";
  if (!is_health && request.path != options_.path) {
    return respond(error_answer(404, fmt::format("there is nothing at {}; WebSocket is at {}, "
                                                 "health checks at /health and /ready",
                                                 in_quotes(request.path), options_.path)));
  }
  if (request.method != "GET" && !(is_health && request.method == "HEAD")) {
    return respond(
        method_not_allowed(request.method, request.path, is_health ? "GET, HEAD" : "GET"));
  }
  if (request.path == "/health") return respond(health_answer(options_.ready()));
  respond(is_health ? ready_answer(options_.ready()) : upgrade_required(options_.path));
}

void public_service::set_origins(std::vector<std::string> allowed) {
  auto list = std::make_shared<const std::vector<std::string>>(std::move(allowed));
  const std::lock_guard lock{mutex_};
  origins_ = std::move(list);
}

public_service::origin_list public_service::origins() const {
  const std::lock_guard lock{mutex_};
  return origins_;
}

std::optional<net::http_response>
public_service::upgrade(std::size_t loop, const upgrade_request& request, net::upgrade_turn& turn) {
  if (request.path != options_.path) {
    options_.admission.refusals->add(upgrade_refusal::path);
    return error_answer(404, fmt::format("there is no WebSocket at {}; connect to {}",
                                         in_quotes(request.path), options_.path));
  }
  if (options_.admission.refusing()) return desk_.stopping();
  if (const auto origin = forbidden_origin(request, *origins()); !origin.empty()) {
    options_.admission.hits->add(protocol::limit_hit::origin);
    return desk_.turn_away(
        request,
        {403,
         fmt::format("pages of {} may not connect: they are not in this server's list of origins",
                     in_quotes(origin))},
        upgrade_refusal::origin);
  }
  std::unique_ptr<const protocol::attach_request> attach;
  if (options_.has_sessions) {
    auto wanted = parse_attach_query(request.query);
    if (!wanted)
      return desk_.turn_away(
          request, {400, fmt::format("{}: {}", wanted.error().where, wanted.error().what)},
          upgrade_refusal::attach);
    attach = std::move(*wanted);
  }
  return desk_.decide(loop, request, std::move(attach), turn);
}

}  // namespace fairlead::service
