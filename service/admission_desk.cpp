#include "service/admission_desk.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include <fmt/format.h>

#include "service/bearer.hpp"
#include "service/http_answer.hpp"

namespace fairlead::service {

using why = upgrade_refusal;
using std::chrono::microseconds;
using std::chrono::steady_clock;

struct admission_desk::visitor {
  std::size_t loop;
  std::string peer, target;  // the target as it may be shown
  std::unique_ptr<const protocol::attach_request> attach;
  std::optional<admit> token = {};
  bool by_subprotocol = false;
  steady_clock::time_point asked = steady_clock::now();
};

namespace {

net::http_response refusal(const refuse& no) {
  const bool sane = no.status >= 400 && no.status <= 599;
  return error_answer(sane ? no.status : 500, no.reason);
}

net::http_response retry_after(net::http_response answer, const char* seconds) {
  answer.headers.emplace_back("Retry-After", seconds);
  return answer;
}

/// What a client may know. Whoever has no good signature learns nothing of what else would be wrong.
std::string_view in_words(why fault) noexcept {
  switch (fault) {
  case why::token_missing: return "a token is required";
  case why::token_ambiguous: return "there is more than one token; send it in one place";
  case why::token_algorithm: return "the token is signed by another algorithm";
  case why::token_signature: return "the token's signature is not good";
  case why::token_expired: return "the token has expired";
  case why::token_not_yet: return "the token is not valid yet";
  case why::token_audience: return "the token is for another audience";
  case why::token_issuer: return "the token is of another issuer";
  case why::token_claims: return "the token lacks a claim, or has one of the wrong kind";
  default: return "this is no token";
  }
}

/// What the hook leaves open is as the token says.
admit merged(const std::optional<admit>& token, admit hook) {
  if (!token) return hook;
  if (hook.user.empty()) hook.user = token->user;
  connection_metadata all;
  for (const auto& pair : token->metadata)
    if (std::ranges::count(hook.metadata, pair.first, &connection_metadata::value_type::first) == 0)
      all.push_back(pair);
  std::ranges::move(hook.metadata, std::back_inserter(all));
  hook.metadata = std::move(all);
  if (token->expires_at && (!hook.expires_at || *hook.expires_at > *token->expires_at))
    hook.expires_at = token->expires_at;
  return hook;
}

std::size_t size_of(const connection_metadata& all) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : all) bytes += name.size() + value.size();
  return bytes;
}

/// Null where there is nothing to keep. A short wait is lost in the measure of the loop's own time.
std::unique_ptr<const protocol::admission_ticket> ticket_of(admit& in, microseconds waited) {
  using std::chrono::milliseconds;
  if (in.metadata.empty() && !in.expires_at && waited < milliseconds{1}) return nullptr;
  return std::make_unique<protocol::admission_ticket>(
      protocol::admission_ticket{std::move(in.metadata), in.expires_at, waited});
}

}  // namespace

std::string admission_desk::shown(std::string_view target) const {
  return without_secrets(target, options_.tokens
                                     ? std::string_view{options_.tokens->options().query_parameter}
                                     : std::string_view{});
}

std::optional<net::http_response>
admission_desk::decide(std::size_t loop, const upgrade_request& request,
                       std::unique_ptr<const protocol::attach_request> attach,
                       net::upgrade_turn& turn) {
  const auto who = std::make_shared<visitor>(
      visitor{loop, std::string{request.peer}, shown(request.target), std::move(attach)});
  if (options_.tokens)
    if (auto refused = check_token(request, *who)) return refused;
  if (options_.on_upgrade_async) return ask_later(request, who, turn);
  const auto answer = ask(request, *who);
  return conclude(*who, answer ? &*answer : nullptr, turn);
}

// --- the token ------------------------------------------------------------------------------------------------------

std::optional<net::http_response> admission_desk::check_token(const upgrade_request& request,
                                                              visitor& who) const {
  auto found = find_bearer(request, options_.tokens->options().query_parameter);
  if (const auto* none = std::get_if<why>(&found)) return unauthorized(who, *none);
  const auto& given = std::get<bearer>(found);
  auto checked = options_.tokens->verify(given.token);
  if (const auto* fault = std::get_if<why>(&checked)) return unauthorized(who, *fault);
  who.token = std::get<admit>(std::move(checked));
  who.by_subprotocol = given.by_subprotocol;
  return {};
}

/// RFC 6750 3: a client that showed nothing is told no more than what to show.
net::http_response admission_desk::unauthorized(const visitor& who, why fault) const {
  options_.hits->add(protocol::limit_hit::unauthorized);
  const auto reason = in_words(fault);
  const bool ambiguous = fault == why::token_ambiguous;
  auto answer = turn_away(who, {ambiguous ? 400U : 401U, std::string{reason}}, fault);
  std::string challenge = R"(Bearer realm="fairlead")";
  if (fault != why::token_missing)
    challenge += fmt::format(R"(, error="{}", error_description="{}")",
                             ambiguous ? "invalid_request" : "invalid_token", reason);
  answer.headers.emplace_back("WWW-Authenticate", std::move(challenge));
  return answer;
}

// --- the hook -------------------------------------------------------------------------------------------------------

std::optional<admission> admission_desk::ask(const upgrade_request& request,
                                             const visitor& who) const {
  if (!options_.on_upgrade) return admit{};
  try {
    if (!who.token) return options_.on_upgrade(request);
    request_copy clean{request, &options_.tokens->options().query_parameter};
    clean.set_token(*who.token);
    return options_.on_upgrade(clean.view());
  } catch (const std::exception& error) {
    hook_threw(who, error.what());
  } catch (...) {
    hook_threw(who, "not a std::exception");
  }
  return std::nullopt;
}

std::optional<net::http_response> admission_desk::ask_later(const upgrade_request& request,
                                                            const visitor_ptr& who,
                                                            net::upgrade_turn& turn) {
  auto slot = take_slot();
  if (!slot) {
    options_.hits->add(protocol::limit_hit::pending_admissions);
    return retry_after(
        turn_away(*who, {503, "too many requests wait for a decision"}, why::too_many_pending),
        "1");
  }
  const auto copy = std::make_shared<request_copy>(
      request, who->token ? &options_.tokens->options().query_parameter : nullptr);
  if (who->token) copy->set_token(*who->token);
  // What is kept here lives as long as the client waits; what the hook keeps, as long as the hook likes.
  auto resume = turn.wait([this, who, slot](net::wait_end end) { return give_up(*who, end); });
  const auto go_on = [this, who, resume](const admission* answer) {
    const auto kept = answer ? std::make_shared<const admission>(*answer) : nullptr;
    resume(
        [this, who, kept](net::upgrade_turn& again) { return conclude(*who, kept.get(), again); });
  };
  const auto failed = [&](std::string_view what) {
    hook_threw(*who, what);
    go_on(nullptr);
  };
  try {
    options_.on_upgrade_async({copy, &copy->view()}, admission_decision{go_on});
  } catch (const std::exception& error) {
    failed(error.what());
  } catch (...) {
    failed("not a std::exception");
  }
  return {};
}

/// Null if too many wait. Given back when its last owner lets go, on whatever thread.
std::shared_ptr<void> admission_desk::take_slot() {
  const auto most = options_.backbone->limits().max_pending_admissions;
  auto now = pending_->load();
  do
    if (now >= most) return nullptr;
  while (!pending_->compare_exchange_weak(now, now + 1));
  return {pending_.get(), [all = pending_](void*) { --*all; }};
}

net::http_response admission_desk::give_up(const visitor& who, net::wait_end end) const {
  if (end == net::wait_end::stopping) return stopping();
  if (end == net::wait_end::timeout)
    return retry_after(
        turn_away(who, {503, "nobody decided on this request in time"}, why::timeout), "1");
  options_.refusals->add(why::client_left);
  if (options_.logger) {
    const auto waited =
        std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - who.asked);
    (*options_.logger)(severity::debug, "upgrade.client_left",
                       {{"peer", std::string_view{who.peer}},
                        {"target", std::string_view{who.target}},
                        {"waited_ms", std::int64_t{waited.count()}}});
  }
  return error_answer(503, "the client has left");
}

void admission_desk::hook_threw(const visitor& who, std::string_view what) const {
  if (!options_.logger) return;
  (*options_.logger)(severity::error, "upgrade.hook_threw",
                     {{"peer", std::string_view{who.peer}},
                      {"target", std::string_view{who.target}},
                      {"what", what}});
}

// --- in or out ------------------------------------------------------------------------------------------------------

std::optional<net::http_response> admission_desk::conclude(visitor& who, const admission* answer,
                                                           net::upgrade_turn& turn) const {
  if (!answer)
    return turn_away(who, {500, "the server could not decide on this request"}, why::hook_failed);
  if (const auto* no = std::get_if<refuse>(answer)) return turn_away(who, *no, why::hook);
  if (options_.refusing()) return stopping();  // since it asked
  return let_in(who, merged(who.token, std::get<admit>(*answer)), turn);
}

std::optional<net::http_response> admission_desk::let_in(visitor& who, admit in,
                                                         net::upgrade_turn& turn) const {
  if (const auto bytes = size_of(in.metadata); bytes > max_metadata_size) {
    if (options_.logger)
      (*options_.logger)(severity::error, "upgrade.too_much_metadata",
                         {{"peer", std::string_view{who.peer}}, {"bytes", std::uint64_t{bytes}}});
    return turn_away(who, {500, "the server knows too much of this client"}, why::hook_failed);
  }
  auto seat = options_.backbone->reserve(in.user);
  if (!seat)
    return retry_after(
        turn_away(who, {503, "this user has too many connections"}, why::user_connections), "5");
  const auto waited = std::chrono::duration_cast<microseconds>(steady_clock::now() - who.asked);
  auto ticket = ticket_of(in, waited);
  actors::connection_seed seed{.peer = std::move(who.peer),
                               .user = std::move(in.user),
                               .target = std::move(who.target),
                               .seat = *std::move(seat),
                               .attach = std::move(who.attach),
                               .ticket = std::move(ticket)};
  // Once the link is taken there is no way back to HTTP. A shutdown that begins here drops it.
  auto link = turn.take(who.by_subprotocol ? bearer_subprotocol : std::string_view{});
  if (link)
    static_cast<void>(options_.backbone->connect(who.loop, std::move(link), std::move(seed)));
  return {};
}

net::http_response admission_desk::turn_away(const visitor& who, const refuse& no,
                                             why reason) const {
  options_.refusals->add(reason);
  if (options_.logger)
    (*options_.logger)(severity::info, "upgrade.refused",
                       {{"peer", std::string_view{who.peer}},
                        {"target", std::string_view{who.target}},
                        {"status", std::uint64_t{no.status}},
                        {"why", to_string(reason)},
                        {"reason", std::string_view{no.reason}}});
  return refusal(no);
}

net::http_response admission_desk::turn_away(const upgrade_request& request, const refuse& no,
                                             why reason) const {
  return turn_away(visitor{0, std::string{request.peer}, shown(request.target), {}}, no, reason);
}

net::http_response admission_desk::stopping() const {
  options_.refusals->add(why::stopping);
  return retry_after(error_answer(503, "the server is shutting down; connect again in a moment"),
                     "1");
}

}  // namespace fairlead::service
