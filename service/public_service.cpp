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

net::http_response refusal(const refuse& no) {
  const bool sane = no.status >= 400 && no.status <= 599;
  return error_answer(sane ? no.status : 500, no.reason);
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

admission public_service::admit_or_refuse(const upgrade_request& request) const {
  if (!options_.on_upgrade) return admit{};
  std::string what = "not a std::exception";
  try {
    return options_.on_upgrade(request);
  } catch (const std::exception& error) {
    what = error.what();
  } catch (...) {
  }
  if (options_.logger) {
    const auto target = without_token(request.target);
    (*options_.logger)(
        severity::error, "upgrade.hook_threw",
        {{"peer", request.peer}, {"target", target}, {"what", std::string_view{what}}});
  }
  return refuse{.status = 500, .reason = "the server could not decide on this request"};
}

net::http_response public_service::turn_away(const upgrade_request& request,
                                             const refuse& no) const {
  if (options_.logger) {
    const auto target = without_token(request.target);
    (*options_.logger)(severity::info, "upgrade.refused",
                       {{"peer", request.peer},
                        {"target", target},
                        {"status", std::uint64_t{no.status}},
                        {"reason", std::string_view{no.reason}}});
  }
  return refusal(no);
}

std::optional<net::http_response>
public_service::upgrade(std::size_t loop, const upgrade_request& request, const take_link& take) {
  if (request.path != options_.path) {
    return error_answer(404, fmt::format("there is no WebSocket at {}; connect to {}",
                                         in_quotes(request.path), options_.path));
  }
  if (options_.refusing()) {
    auto answer = error_answer(503, "the server is shutting down; connect again in a moment");
    answer.headers.emplace_back("Retry-After", "1");
    return answer;
  }
  if (const auto origin = forbidden_origin(request, *origins()); !origin.empty()) {
    options_.hits->add(protocol::limit_hit::origin);
    return turn_away(
        request,
        {403,
         fmt::format("pages of {} may not connect: they are not in this server's list of origins",
                     in_quotes(origin))});
  }
  std::unique_ptr<const protocol::attach_request> attach;
  if (options_.has_sessions) {
    auto wanted = parse_attach_query(request.query);
    if (!wanted)
      return turn_away(request,
                       {400, fmt::format("{}: {}", wanted.error().where, wanted.error().what)});
    attach = std::move(*wanted);
  }
  auto decision = admit_or_refuse(request);
  if (const auto* no = std::get_if<refuse>(&decision)) return turn_away(request, *no);
  auto& user = std::get<admit>(decision).user;
  if (!options_.backbone->reserve(user)) {
    auto answer = turn_away(request, {503, "this user has too many connections"});
    answer.headers.emplace_back("Retry-After", "5");
    return answer;
  }
  // Once the link is taken there is no way back to HTTP. A shutdown that begins here drops it.
  static_cast<void>(options_.backbone->connect(loop, take(),
                                               {.peer = std::string{request.peer},
                                                .user = std::move(user),
                                                .target = without_token(request.target),
                                                .reserved = true,
                                                .attach = std::move(attach)}));
  return {};
}

}  // namespace fairlead::service
