#include "service/config_keys.hpp"

#include <sstream>
#include <type_traits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "service/options.hpp"
#include "service/text.hpp"
#include "service/token.hpp"

namespace fairlead::service {
namespace {

using std::chrono::milliseconds;
using text_setter = std::string (*)(settings&, std::string_view);

std::string type_name(const toml::node& node) {
  std::ostringstream out;
  out << node.type();
  const auto name = out.str();
  return (name.find_first_of("aeiou") == 0 ? "an " : "a ") + name;
}

std::string read_text(settings& s, const toml::node& node, text_setter set) {
  const auto* text = node.as_string();
  return text ? set(s, text->get()) : fmt::format("{}; give a string", type_name(node));
}

template <class Number>
std::string read_number(Number& out, const toml::node& node, std::uint64_t least,
                        std::uint64_t most) {
  const auto* given = node.as_integer();
  if (!given)
    return fmt::format("{}; give a whole number from {} to {}", type_name(node), least, most);
  const auto n = given->get();
  if (n < 0 || static_cast<std::uint64_t>(n) < least || static_cast<std::uint64_t>(n) > most) {
    return fmt::format("{} is out of range; give a whole number from {} to {}", n, least, most);
  }
  out = static_cast<Number>(n);
  return {};
}

std::string read_switch(bool& out, const toml::node& node) {
  const auto* given = node.as_boolean();
  if (!given) return fmt::format("{}; give true or false", type_name(node));
  out = given->get();
  return {};
}

std::string read_duration(milliseconds& out, const toml::node& node, milliseconds least,
                          milliseconds most) {
  const auto* given = node.as_string();
  if (!given) return fmt::format("{}; give {}, in quotes", type_name(node), duration_form);
  const auto duration = parse_duration(given->get());
  if (!duration)
    return fmt::format("{} is no duration; give {}", in_quotes(given->get()), duration_form);
  if (*duration < least || *duration > most) {
    return fmt::format("{} is out of range; give {} to {}", in_quotes(given->get()),
                       in_words(least), in_words(most));
  }
  out = *duration;
  return {};
}

std::string read_list(settings& s, const toml::node& node, std::string_view example,
                      std::string (*set)(settings&, std::vector<std::string>)) {
  const auto* given = node.as_array();
  if (!given) return fmt::format("{}; give a list such as [\"{}\"]", type_name(node), example);
  std::vector<std::string> texts;
  for (const auto& one : *given) {
    const auto* text = one.as_string();
    if (!text) return fmt::format("{} in the list; give strings", type_name(one));
    texts.push_back(text->get());
  }
  return set(s, std::move(texts));
}

std::vector<std::string> quoted(const std::vector<std::string>& texts) {
  std::vector<std::string> all;
  for (const auto& text : texts) all.push_back(in_quotes(text));
  return all;
}

std::string show_duration(milliseconds d) {
  using std::chrono::hours;
  if (d >= hours{1} && d % hours{1} == milliseconds{0}) return fmt::format("\"{}h\"", d / hours{1});
  return d.count() % 1000 == 0 ? fmt::format("\"{}s\"", d.count() / 1000)
                               : fmt::format("\"{}ms\"", d.count());
}

template <class Value>
std::string show_value(const Value& value) {
  if constexpr (std::is_same_v<Value, milliseconds>) {
    return show_duration(value);
  } else if constexpr (std::is_integral_v<Value>) {
    return fmt::format("{}", value);
  } else {
    return in_quotes(value);
  }
}

config_key text_key(std::string section, std::string name, std::string about, text_setter set,
                    std::function<std::string(const settings&)> show) {
  return {std::move(section), std::move(name), std::move(about),
          [set](settings& s, const toml::node& node) { return read_text(s, node, set); },
          [show = std::move(show)](const settings& s) { return in_quotes(show(s)); }};
}

config_key limit_key(std::string_view wanted, std::string_view about) {
  // Found again by name at each use: a member pointer would need a variant over the members' types.
  auto read = [wanted](settings& s, const toml::node& node) {
    std::string wrong;
    for_each_limit(s.server.limits, [&](std::string_view name, auto& value, auto least, auto most,
                                        std::string_view) {
      if (name != wanted) return;
      if constexpr (std::is_same_v<std::decay_t<decltype(value)>, milliseconds>) {
        wrong = read_duration(value, node, least, most);
      } else {
        wrong = read_number(value, node, least, most);
      }
    });
    return wrong;
  };
  auto show = [wanted](const settings& s) {
    std::string text;
    for_each_limit(s.server.limits,
                   [&](std::string_view name, const auto& value, auto, auto, std::string_view) {
                     if (name == wanted) text = show_value(value);
                   });
    return text;
  };
  return {"limits", std::string{wanted}, std::string{about}, read, show};
}

void add_listen(std::vector<config_key>& keys) {
  keys.push_back(text_key("listen", "address", "where clients connect; port 0 picks a free one",
                          &set_listen, [](const settings& s) { return s.server.listen; }));
  keys.push_back(text_key("listen", "path", "where WebSocket upgrades are accepted", &set_path,
                          [](const settings& s) { return s.server.path; }));
  keys.push_back(
      {"listen", "origins",
       "web pages that may connect, by Origin, such as \"https://example.org\"; \"*\": any",
       [](settings& s, const toml::node& n) {
         return read_list(s, n, "https://example.org", &set_origins);
       },
       [](const settings& s) {
         return fmt::format("[{}]", fmt::join(quoted(s.server.origins), ", "));
       }});
  keys.push_back({"listen", "threads", "event loops; 0: one per core",
                  [](settings& s, const toml::node& n) {
                    return read_number(s.server.threads, n, 0, most_threads);
                  },
                  [](const settings& s) { return show_value(s.server.threads); }});
  keys.push_back(text_key(
      "listen", "plain", "a client's message goes to all (broadcast), back (echo), nowhere (off)",
      &set_plain, [](const settings& s) { return std::string{to_string(s.plain)}; }));
  keys.push_back(text_key("listen", "user_header",
                          "header field by which a trusted proxy names the user; empty: none",
                          &set_user_header, [](const settings& s) { return s.user_header; }));
}

void add_internal(std::vector<config_key>& keys) {
  keys.push_back(text_key("internal", "address",
                          "debug and API; \"off\" for none; not loopback only with a token",
                          &set_internal, [](const settings& s) { return s.server.internal; }));
  keys.push_back(text_key("internal", "token",
                          "if set, asked for as \"Authorization: Bearer <token>\"", &set_token,
                          [](const settings& s) { return s.server.internal_token; }));
  keys.push_back(text_key(
      "internal", "token_file", "the same, from the first line of a file",
      [](settings& s, std::string_view path) { return set_token_file(s, std::string{path}); },
      [](const settings&) { return std::string{}; }));
}

void add_actors(std::vector<config_key>& keys) {
  keys.push_back(text_key("actors", "address",
                          "where CAF processes spawn sessions; \"off\": nowhere; not loopback only "
                          "with the files below",
                          &set_actors, [](const settings& s) {
                            return s.server.actors.empty() ? "off" : s.server.actors;
                          }));
  keys.push_back(text_key("actors", "certificate", "PEM file: shown to other nodes",
                          &set_actors_certificate,
                          [](const settings& s) { return s.server.actors_tls.certificate; }));
  keys.push_back(text_key("actors", "key", "PEM file: its private key", &set_actors_key,
                          [](const settings& s) { return s.server.actors_tls.key; }));
  keys.push_back(text_key("actors", "ca", "PEM file: other nodes' certificates must be of these",
                          &set_actors_ca,
                          [](const settings& s) { return s.server.actors_tls.client_ca; }));
}

void add_sessions(std::vector<config_key>& keys) {
  keys.push_back({"sessions", "types",
                  "what the API may spawn, with the default options; []: nothing",
                  [](settings& s, const toml::node& n) {
                    return read_list(s, n, "session", &set_session_types);
                  },
                  [](const settings& s) {
                    std::vector<std::string> names;
                    for (const auto& [name, type] : s.server.session_types) names.push_back(name);
                    return fmt::format("[{}]", fmt::join(quoted(names), ", "));
                  }});
}

void add_compression(std::vector<config_key>& keys) {
  keys.push_back(text_key(
      "compression", "mode", "on: permessage-deflate for clients that offer it; off",
      &set_compression,
      [](const settings& s) { return std::string{s.server.compression.enabled ? "on" : "off"}; }));
  keys.push_back({"compression", "level", "1 (fast) to 9 (small)",
                  [](settings& s, const toml::node& n) {
                    return read_number(s.server.compression.level, n, 1, most_compression);
                  },
                  [](const settings& s) { return show_value(s.server.compression.level); }});
  keys.push_back({"compression", "min_size", "bytes: shorter messages are sent as they are",
                  [](settings& s, const toml::node& n) {
                    return read_number(s.server.compression.min_size, n, 0,
                                       std::uint64_t{1} << 32U);
                  },
                  [](const settings& s) { return show_value(s.server.compression.min_size); }});
}

void add_tls(std::vector<config_key>& keys) {
  keys.push_back(
      text_key("tls", "certificate",
               "PEM file: the certificate, then those between it and its root; empty: no TLS",
               &set_tls_certificate, [](const settings& s) { return s.server.tls.certificate; }));
  keys.push_back(text_key("tls", "key", "PEM file: its private key, without a passphrase",
                          &set_tls_key, [](const settings& s) { return s.server.tls.key; }));
  keys.push_back(text_key(
      "tls", "client_ca", "PEM file: if set, clients must have a certificate of one of these",
      &set_tls_client_ca, [](const settings& s) { return s.server.tls.client_ca; }));
  keys.push_back(
      text_key("tls", "min_version", "1.2 or 1.3", &set_tls_min_version,
               [](const settings& s) { return std::string{to_string(s.server.tls.min_version)}; }));
}

void add_jwt(std::vector<config_key>& keys) {
  const auto text = [&](std::string name, std::string about, text_setter set,
                        std::string jwt_options::*member) {
    keys.push_back(text_key("jwt", std::move(name), std::move(about), set,
                            [member](const settings& s) { return s.server.jwt.*member; }));
  };
  keys.push_back(text_key("jwt", "algorithm",
                          "of the tokens that are accepted: HS, RS or ES with 256, 384 or 512",
                          &set_jwt_algorithm, [](const settings& s) {
                            const auto& chosen = s.server.jwt.algorithm;
                            return chosen ? std::string{to_string(*chosen)} : std::string{};
                          }));
  text("key_file", "HS: the secret; RS, ES: the public key, PEM; empty: no tokens are asked for",
       &set_jwt_key_file, &jwt_options::key_file);
  text("audience", "has to be in a token's aud; empty: tokens without aud", &set_jwt_audience,
       &jwt_options::audience);
  text("issuer", "has to be a token's iss; empty: any", &set_jwt_issuer, &jwt_options::issuer);
  text("user_claim", "the claim that is the user", &set_jwt_user_claim, &jwt_options::user_claim);
  keys.push_back(
      {"jwt", "metadata", "claims that become a connection's metadata",
       [](settings& s, const toml::node& n) { return read_list(s, n, "role", &set_jwt_metadata); },
       [](const settings& s) {
         return fmt::format("[{}]", fmt::join(quoted(s.server.jwt.metadata_claims), ", "));
       }});
  keys.push_back({"jwt", "leeway", "by how much clocks may differ",
                  [](settings& s, const toml::node& n) {
                    return read_duration(s.server.jwt.leeway, n, milliseconds{0},
                                         std::chrono::minutes{10});
                  },
                  [](const settings& s) { return show_duration(s.server.jwt.leeway); }});
  keys.push_back(
      {"jwt", "require_expiry", "refuse tokens without exp",
       [](settings& s, const toml::node& n) { return read_switch(s.server.jwt.require_expiry, n); },
       [](const settings& s) {
         return std::string{s.server.jwt.require_expiry ? "true" : "false"};
       }});
  text("query_parameter", "where in the query a token may be; empty: nowhere",
       &set_jwt_query_parameter, &jwt_options::query_parameter);
}

void add_log_and_drain(std::vector<config_key>& keys) {
  keys.push_back(text_key("log", "level", "debug, info, warning or error", &set_log_level,
                          [](const settings& s) { return std::string{to_string(s.log_level)}; }));
  keys.push_back(text_key("log", "format", "human or json", &set_log_format,
                          [](const settings& s) { return std::string{to_string(s.format)}; }));
  const auto drain_time = [&](std::string name, std::string about, text_setter set,
                              milliseconds drain_options::*member) {
    keys.push_back(text_key("drain", std::move(name), std::move(about), set, {}));
    keys.back().show = [member](const settings& s) {
      return show_duration(s.server.drain.*member);
    };
  };
  drain_time("timeout", "from SIGTERM to the end; who is left then is cut", &set_drain_timeout,
             &drain_options::timeout);
  drain_time("grace", "of that, how long all goes on after /ready has turned 503", &set_drain_grace,
             &drain_options::grace);
  drain_time("spread", "over how long closes are spread at most; 0s: all at once",
             &set_drain_spread, &drain_options::spread);
  keys.push_back({"drain", "rate", "closes a second; more where spread would be passed",
                  [](settings& s, const toml::node& n) {
                    return read_number(s.server.drain.rate, n, 1, UINT32_MAX);
                  },
                  [](const settings& s) { return show_value(s.server.drain.rate); }});
}

std::vector<config_key> all_keys() {
  std::vector<config_key> keys;
  add_listen(keys);
  add_internal(keys);
  add_sessions(keys);
  add_actors(keys);
  add_tls(keys);
  add_jwt(keys);
  add_compression(keys);
  limits defaults;
  for_each_limit(defaults, [&](std::string_view name, auto&, auto, auto, std::string_view about) {
    keys.push_back(limit_key(name, about));
  });
  keys.push_back(text_key(
      "limits", "slow_consumers",
      "when a client's queue is full: disconnect (3008), drop_newest, drop_oldest, keep_latest",
      &set_slow_consumers,
      [](const settings& s) { return std::string{to_string(s.server.limits.slow_consumers)}; }));
  add_log_and_drain(keys);
  return keys;
}

}  // namespace

const std::vector<config_key>& config_keys() {
  static const auto keys = all_keys();
  return keys;
}

}  // namespace fairlead::service
