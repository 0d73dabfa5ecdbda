#include "service/options.hpp"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "protocol/session_frames.hpp"
#include "protocol/session_options.hpp"
#include "service/address.hpp"
#include "service/origins.hpp"
#include "service/text.hpp"

namespace fairlead::service {
namespace {

void check_addresses(const server_options& o, problems& found) {
  if (!parse_address(o.listen)) {
    found.push_back(
        {"listen", fmt::format("{} is no address; give {}", in_quotes(o.listen), address_form)});
  }
  if (o.internal.empty()) return;
  const auto internal = parse_address(o.internal);
  if (!internal) {
    found.push_back(
        {"internal", fmt::format("{} is no address; give {}, or nothing for no internal listener",
                                 in_quotes(o.internal), address_form)});
  } else if (!is_loopback(*internal) && o.internal_token.empty()) {
    found.push_back(
        {"internal",
         fmt::format("{} can be reached from other machines, and who reaches it can read and "
                     "close every connection; set internal_token, or listen on 127.0.0.1",
                     in_quotes(o.internal))});
  }
}

void check_tls(const tls_options& tls, problems& found) {
  if (tls.certificate.empty() != tls.key.empty())
    found.push_back({tls.key.empty() ? "tls.key" : "tls.certificate",
                     "TLS needs a certificate and its key; give both files, or neither"});
  else if (tls.certificate.empty() && !tls.client_ca.empty())
    found.push_back({"tls.client_ca",
                     "asks clients for certificates, which takes TLS; give tls.certificate and "
                     "tls.key as well"});
}

void check_jwt(const jwt_options& jwt, problems& found) {
  using std::chrono::milliseconds;
  if (!jwt.enabled()) {
    // Somebody meant to ask for tokens; without a key nobody would be asked for one.
    if (jwt.algorithm || !jwt.audience.empty() || !jwt.issuer.empty())
      found.push_back({"jwt.key_file", "tokens are checked by a key; give its file, or no other of "
                                       "the jwt options"});
    return;
  }
  if (!jwt.key_file.empty() && !jwt.key.empty())
    found.push_back({"jwt.key", "there is a key_file as well; give one of them"});
  if (!jwt.algorithm)
    found.push_back({"jwt.algorithm",
                     "tokens are accepted by one algorithm alone; give HS256, HS384, HS512, RS256, "
                     "RS384, RS512, ES256, ES384 or ES512"});
  if (jwt.user_claim.empty())
    found.push_back({"jwt.user_claim", "without it nobody has a name; give one such as \"sub\""});
  constexpr milliseconds most_leeway = std::chrono::minutes{10};
  if (jwt.leeway < milliseconds{0} || jwt.leeway > most_leeway)
    found.push_back({"jwt.leeway", fmt::format("{} ms is out of range; give 0 to {} ms",
                                               jwt.leeway.count(), most_leeway.count())});
  if (const auto what = query_parameter_problem(jwt.query_parameter); !what.empty())
    found.push_back(
        {"jwt.query_parameter", fmt::format("{}: {}", in_quotes(jwt.query_parameter), what)});
}

void check_actors(const server_options& o, problems& found) {
  if (o.actors.empty()) return;
  const auto where = parse_address(o.actors);
  if (!where)
    return found.push_back(
        {"actors", fmt::format("{} is no address; give {}, or nothing for no CAF node",
                               in_quotes(o.actors), address_form)});
  const auto& tls = o.actors_tls;
  const int files = !tls.certificate.empty() + !tls.key.empty() + !tls.client_ca.empty();
  if (files != 0 && files != 3)
    return found.push_back(
        {"actors_tls", "certificates are asked for on both sides; give all of certificate, key and "
                       "client_ca, or none of them"});
  if (files == 0 && !is_loopback(*where))
    found.push_back(
        {"actors", fmt::format("{} can be reached from other machines, and who reaches it can "
                               "spawn and end sessions; give actors_tls, or listen on 127.0.0.1",
                               in_quotes(o.actors))});
}

void check_compression(const compression_options& c, problems& found) {
  if (c.level < 1 || c.level > most_compression)
    found.push_back(
        {"compression.level", fmt::format("{} is out of range; give 1 (fast) to {} (small)",
                                          c.level, most_compression)});
}

void check_limits(const limits& l, problems& found) {
  for_each_limit(
      l, [&](std::string_view name, const auto& value, auto least, auto most, std::string_view) {
        using shown = decltype(least);
        const auto given = static_cast<shown>(value);
        if (given >= least && given <= most) return;
        const auto where = fmt::format("limits.{}", name);
        if constexpr (std::is_same_v<shown, std::uint64_t>) {
          found.push_back(
              {where, fmt::format("{} is out of range; give {} to {}", given, least, most)});
        } else {
          found.push_back({where, fmt::format("{} ms is out of range; give {} to {} ms",
                                              given.count(), least.count(), most.count())});
        }
      });
}

}  // namespace

std::string_view path_problem(std::string_view path) noexcept {
  if (!path.starts_with('/')) return R"(a path begins with "/", such as "/ws")";
  if (path == "/health" || path == "/ready")
    return R"("/health" and "/ready" are taken by the health checks; choose another path, such as "/ws")";
  const auto plain = [](unsigned char c) { return c > 0x20 && c < 0x7F && c != '?' && c != '#'; };
  if (!std::all_of(path.begin(), path.end(), plain)) {
    return R"(a path has printable ASCII characters without spaces, "?" or "#", such as "/ws")";
  }
  return {};
}

std::string_view token_problem(std::string_view token) noexcept {
  // What an Authorization header field can carry unquoted (RFC 6750 2.1).
  const auto usable = [](unsigned char c) { return c > 0x20 && c < 0x7F; };
  if (std::all_of(token.begin(), token.end(), usable)) return {};
  return "a token has printable ASCII characters without spaces";
}

std::string_view query_parameter_problem(std::string_view name) noexcept {
  for (const auto* const taken : {"session", "token", "after", "epoch"})
    if (name == taken)
      return "sessions have a parameter of that name; give another one, such as "
             "\"access_token\", or none";
  const auto plain = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; };
  if (std::all_of(name.begin(), name.end(), plain)) return {};
  return "a parameter's name has letters, digits, \"_\" and \"-\"";
}

problems check(const drain_options& o) {
  using std::chrono::milliseconds;
  problems found;
  constexpr milliseconds longest = std::chrono::hours{24};
  const auto time = [&](std::string_view name, milliseconds given) {
    if (given >= milliseconds{0} && given <= longest) return;
    found.push_back(
        {fmt::format("drain.{}", name),
         fmt::format("{} ms is out of range; give 0 to {} ms", given.count(), longest.count())});
  };
  time("grace", o.grace);
  time("spread", o.spread);
  time("timeout", o.timeout);
  if (o.grace > milliseconds{0} && o.grace >= o.timeout) {
    found.push_back(
        {"drain.grace",
         fmt::format("{} leave no time to close connections; give less than drain.timeout, {}",
                     in_words(o.grace), in_words(o.timeout))});
  }
  if (o.rate == 0) {
    found.push_back({"drain.rate", "0 would close nobody; give 1 or more a second"});
  }
  if (!may_be_sent(o.code) || !valid_close_reason(o.reason)) {
    found.push_back({"drain.code",
                     fmt::format("close code {} or its reason cannot be sent; give a code such as "
                                 "1012 and at most {} bytes of UTF-8",
                                 static_cast<unsigned>(o.code), max_close_reason)});
  }
  return found;
}

problems check(const server_options& o) {
  problems found = check(o.drain);
  check_addresses(o, found);
  if (const auto what = token_problem(o.internal_token); !what.empty()) {
    found.push_back(
        {"internal_token", std::string{what}});  // never the token itself: errors get logged
  }
  if (const auto what = path_problem(o.path); !what.empty()) {
    found.push_back({"path", fmt::format("{}: {}", in_quotes(o.path), what)});
  }
  for (const auto& origin : o.origins) {
    if (const auto what = origin_problem(origin); !what.empty())
      found.push_back({"origins", fmt::format("{}: {}", in_quotes(origin), what)});
  }
  if (o.threads > most_threads) {
    found.push_back(
        {"threads", fmt::format("{} is out of range; give 1 to {}, or 0 for one per core",
                                o.threads, most_threads)});
  }
  if (o.actor_threads < 1 || o.actor_threads > most_threads) {
    found.push_back({"actor_threads", fmt::format("{} is out of range; give 1 to {}",
                                                  o.actor_threads, most_threads)});
  }
  check_limits(o.limits, found);
  check_tls(o.tls, found);
  check_jwt(o.jwt, found);
  if (o.on_upgrade && o.on_upgrade_async)
    found.push_back({"on_upgrade_async", "there is an on_upgrade as well; give one of them"});
  check_actors(o, found);
  check_compression(o.compression, found);
  for (const auto& [name, type] : o.session_types) {
    if (!protocol::valid_name(name))
      found.push_back(
          {"session_types",
           fmt::format("{} is no name; give 1 to 64 letters, digits, \".\", \"_\", \":\", "
                       "\"-\" or \"/\"",
                       in_quotes(name))});
    if (auto what = protocol::session_options_problem(type.options); !what.empty())
      found.push_back({fmt::format("session_types.{}", name), std::move(what)});
  }
  if (o.user_linger < std::chrono::milliseconds{0}) {
    found.push_back(
        {"user_linger", fmt::format("{} ms is negative; give 0 or more", o.user_linger.count())});
  }
  return found;
}

problems check_reload(const server_options& in_force, const server_options& wanted) {
  auto found = check(wanted);
  // The token that is reloaded goes to the listener that is there, wherever the next one is to be.
  const auto stays = parse_address(in_force.internal);
  if (wanted.internal_token.empty() && wanted.internal != in_force.internal && stays &&
      !is_loopback(*stays))
    found.push_back(
        {"internal_token", fmt::format("the internal listener stays at {} until a restart, where "
                                       "other machines can reach it; keep a token until then",
                                       in_quotes(in_force.internal))});
  return found;
}

}  // namespace fairlead::service
