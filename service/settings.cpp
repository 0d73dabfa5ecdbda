#include "service/settings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "protocol/session_frames.hpp"
#include "service/address.hpp"
#include "service/options.hpp"
#include "service/origins.hpp"
#include "service/text.hpp"
#include "service/token.hpp"

namespace fairlead::service {
namespace {

constexpr std::array<std::string_view, 3> plain_names{"broadcast", "echo", "off"};
constexpr std::array<std::string_view, 2> format_names{"human", "json"};
const std::array<std::string_view, 4> slow_policy_names{
    to_string(slow_policy::disconnect), to_string(slow_policy::drop_newest),
    to_string(slow_policy::drop_oldest), to_string(slow_policy::keep_latest)};
constexpr std::array<std::string_view, 2> switch_names{"off", "on"};
constexpr std::array<std::string_view, 2> tls_names{"1.2", "1.3"};
const std::array<std::string_view, 9> algorithm_names{
    to_string(jwt_algorithm::hs256), to_string(jwt_algorithm::hs384),
    to_string(jwt_algorithm::hs512), to_string(jwt_algorithm::rs256),
    to_string(jwt_algorithm::rs384), to_string(jwt_algorithm::rs512),
    to_string(jwt_algorithm::es256), to_string(jwt_algorithm::es384),
    to_string(jwt_algorithm::es512)};
constexpr std::array<std::string_view, 4> level_names{"debug", "info", "warning", "error"};

/// Sets `out` to the enumerator that is named, by its place in `names`.
template <class Enum, std::size_t N>
std::string choose_one(Enum& out, std::string_view text,
                       const std::array<std::string_view, N>& names) {
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) {
    return fmt::format("{} is none of {}{}", in_quotes(text), fmt::join(names, ", "),
                       did_you_mean(text, names));
  }
  out = static_cast<Enum>(found - names.begin());
  return {};
}

std::string not_an_address(std::string_view text) {
  return fmt::format("{} is no address; give {}", in_quotes(text), address_form);
}

/// Sets `out` to an address, or to nothing for `off`.
std::string set_address_or_off(std::string& out, std::string_view text) {
  const bool none = text.empty() || text == "off";
  if (!none && !parse_address(text)) return not_an_address(text) + R"(, or "off")";
  out = none ? std::string_view{} : text;
  return {};
}

std::string set_duration(std::chrono::milliseconds& out, std::string_view text) {
  const auto duration = parse_duration(text);
  if (!duration) return fmt::format("{} is no duration; give {}", in_quotes(text), duration_form);
  out = *duration;
  return {};
}

/// Letters, digits and the other characters of a token (RFC 9110 5.6.2).
bool is_field_name(std::string_view name) noexcept {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view{"!#$%&'*+-.^_`|~"}.find(static_cast<char>(c)) != std::string_view::npos;
  });
}

}  // namespace

settings default_settings(plain_mode mode) {
  settings s;
  s.plain = mode;
  if (mode != plain_mode::echo) return s;
  auto& l = s.server.limits;
  l.max_message_size = 16 * 1024 * 1024;
  l.max_fragments = 1024 * 1024;
  l.max_queued_messages = 256 * 1024;
  l.max_queued_bytes = 256 * 1024 * 1024;
  l.max_inbound_messages_per_second = 1'000'000;
  l.max_inbound_bytes_per_second = 1024 * 1024 * 1024;
  return s;
}

problems check(const settings& s) {
  auto found = check(s.server);
  if (!s.user_header.empty() && s.server.jwt.enabled())
    found.push_back({"listen.user_header",
                     "users are named by their tokens, and a header field would overrule these; "
                     "give one of user_header and jwt.key_file"});
  return found;
}

std::string_view to_string(plain_mode mode) noexcept {
  return plain_names[static_cast<std::size_t>(mode)];
}
std::string_view to_string(log_format format) noexcept {
  return format_names[static_cast<std::size_t>(format)];
}
std::string_view to_string(tls_version version) noexcept {
  return tls_names[static_cast<std::size_t>(version)];
}

std::string set_listen(settings& s, std::string_view text) {
  if (!parse_address(text)) return not_an_address(text);
  s.server.listen = text;
  return {};
}

std::string set_internal(settings& s, std::string_view text) {
  return set_address_or_off(s.server.internal, text);
}

std::string set_actors(settings& s, std::string_view text) {
  return set_address_or_off(s.server.actors, text);
}
std::string set_actors_certificate(settings& s, std::string_view file) {
  s.server.actors_tls.certificate = file;
  return {};
}
std::string set_actors_key(settings& s, std::string_view file) {
  s.server.actors_tls.key = file;
  return {};
}
std::string set_actors_ca(settings& s, std::string_view file) {
  s.server.actors_tls.client_ca = file;
  return {};
}

std::string set_token(settings& s, std::string_view text) {
  if (const auto what = token_problem(text); !what.empty()) return std::string{what};
  s.server.internal_token = text;
  return {};
}

std::string set_token_file(settings& s, const std::string& path) {
  if (path.empty()) return {};
  std::ifstream file{path};
  std::string token;
  if (!std::getline(file, token))
    return fmt::format("{} cannot be read or is empty", in_quotes(path));
  if (token.ends_with('\r')) token.pop_back();
  if (token.empty())
    return fmt::format("the first line of {} is empty; it has to be the token", in_quotes(path));
  return set_token(s, token);
}

std::string set_path(settings& s, std::string_view text) {
  if (const auto what = path_problem(text); !what.empty())
    return fmt::format("{}: {}", in_quotes(text), what);
  s.server.path = text;
  return {};
}

std::string set_origins(settings& s, std::vector<std::string> origins) {
  for (const auto& origin : origins) {
    if (const auto what = origin_problem(origin); !what.empty())
      return fmt::format("{}: {}", in_quotes(origin), what);
  }
  s.server.origins = std::move(origins);
  return {};
}

std::string set_plain(settings& s, std::string_view text) {
  return choose_one(s.plain, text, plain_names);
}

std::string set_user_header(settings& s, std::string_view text) {
  if (!text.empty() && !is_field_name(text)) {
    return fmt::format("{} is no header field's name; give one such as \"X-Forwarded-User\"",
                       in_quotes(text));
  }
  s.user_header = text;
  return {};
}

std::string set_session_types(settings& s, std::vector<std::string> names) {
  session_types types;
  for (const auto& name : names) {
    if (name == "off" && names.size() == 1) break;
    if (!protocol::valid_name(name))
      return fmt::format("{} is no name of a type; give 1 to 64 letters, digits, \".\", \"_\", "
                         "\":\", \"-\" or \"/\"",
                         in_quotes(name));
    types[name] = {};
  }
  s.server.session_types = std::move(types);
  return {};
}

std::string set_slow_consumers(settings& s, std::string_view text) {
  return choose_one(s.server.limits.slow_consumers, text, slow_policy_names);
}

// The files are read when the server starts: they may not be there yet where a configuration is checked.
std::string set_tls_certificate(settings& s, std::string_view file) {
  s.server.tls.certificate = file;
  return {};
}
std::string set_tls_key(settings& s, std::string_view file) {
  s.server.tls.key = file;
  return {};
}
std::string set_tls_client_ca(settings& s, std::string_view file) {
  s.server.tls.client_ca = file;
  return {};
}
std::string set_tls_min_version(settings& s, std::string_view text) {
  return choose_one(s.server.tls.min_version, text, tls_names);
}

std::string set_jwt_algorithm(settings& s, std::string_view text) {
  if (text.empty()) {
    s.server.jwt.algorithm.reset();
    return {};
  }
  jwt_algorithm chosen{};
  if (auto wrong = choose_one(chosen, text, algorithm_names); !wrong.empty()) return wrong;
  s.server.jwt.algorithm = chosen;
  return {};
}
std::string set_jwt_key_file(settings& s, std::string_view file) {
  s.server.jwt.key_file = file;
  return {};
}
std::string set_jwt_audience(settings& s, std::string_view text) {
  s.server.jwt.audience = text;
  return {};
}
std::string set_jwt_issuer(settings& s, std::string_view text) {
  s.server.jwt.issuer = text;
  return {};
}
std::string set_jwt_user_claim(settings& s, std::string_view text) {
  if (text.empty()) return "without it nobody has a name; give one such as \"sub\"";
  s.server.jwt.user_claim = text;
  return {};
}
std::string set_jwt_metadata(settings& s, std::vector<std::string> claims) {
  s.server.jwt.metadata_claims = std::move(claims);
  return {};
}
std::string set_jwt_query_parameter(settings& s, std::string_view text) {
  if (const auto what = query_parameter_problem(text); !what.empty())
    return fmt::format("{}: {}", in_quotes(text), what);
  s.server.jwt.query_parameter = text;
  return {};
}

std::string set_compression(settings& s, std::string_view text) {
  return choose_one(s.server.compression.enabled, text, switch_names);
}

std::string set_log_level(settings& s, std::string_view text) {
  return choose_one(s.log_level, text, level_names);
}
std::string set_log_format(settings& s, std::string_view text) {
  return choose_one(s.format, text, format_names);
}

std::string set_drain_timeout(settings& s, std::string_view text) {
  return set_duration(s.server.drain.timeout, text);
}
std::string set_drain_grace(settings& s, std::string_view text) {
  return set_duration(s.server.drain.grace, text);
}
std::string set_drain_spread(settings& s, std::string_view text) {
  return set_duration(s.server.drain.spread, text);
}

std::string set_drain_rate(settings& s, std::string_view text) {
  const auto* const end = text.data() + text.size();
  std::uint32_t rate = 0;
  const auto read = std::from_chars(text.data(), end, rate);
  if (read.ec != std::errc{} || read.ptr != end || rate == 0)
    return fmt::format("{} is no rate; give 1 or more connections a second", in_quotes(text));
  s.server.drain.rate = rate;
  return {};
}

}  // namespace fairlead::service
