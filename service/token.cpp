#include "service/token.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <jwt.h>
#include <openssl/err.h>

#include "service/token_key.hpp"

namespace fairlead::service {
namespace {

namespace json = boost::json;
using std::chrono::duration_cast;
using std::chrono::system_clock;
using why = upgrade_refusal;

constexpr std::array<std::string_view, 9> names{"HS256", "HS384", "HS512", "RS256", "RS384",
                                                "RS512", "ES256", "ES384", "ES512"};

struct free_jwt {
  void operator()(jwt_t* p) const noexcept { jwt_free(p); }
};
struct free_bytes {
  void operator()(char* p) const noexcept { std::free(p); }
};
using decoded_token = std::unique_ptr<jwt_t, free_jwt>;

/// Three parts in base64url (RFC 7515 7.1), the last of which may be empty here. libjwt would skip other characters.
bool has_form(std::string_view token) noexcept {
  const auto fits = [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
           c == '_' || c == '.';
  };
  const auto first = token.find('.'), last = token.rfind('.');
  return token.size() <= most_token_bytes && std::ranges::all_of(token, fits) &&
         std::ranges::count(token, '.') == 2 && first > 0 && last > first + 1;
}

/// Without a key: only taken apart. With one: verified by whatever algorithm the token names.
decoded_token decode(const std::string& token, const std::string& key) {
  jwt_t* out = nullptr;
  const auto* const bytes =
      key.empty() ? nullptr : reinterpret_cast<const unsigned char*>(key.data());
  if (jwt_decode(&out, token.c_str(), bytes, static_cast<int>(key.size())) != 0) out = nullptr;
  ERR_clear_error();  // what a bad signature leaves behind would be taken for this thread's TLS's
  return decoded_token{out};
}

/// An object, or null if it is none, or nested as no honest one is.
json::value as_object(char* text) {
  const std::unique_ptr<char, free_bytes> owned{text};
  if (!text) return nullptr;
  json::error_code failed;
  auto parsed = json::parse(text, failed);
  return failed || !parsed.is_object() ? json::value{nullptr} : parsed;
}

std::string_view text_of(const json::object& claims, std::string_view name) {
  const auto* const value = claims.if_contains(name);
  const auto* const text = value ? value->if_string() : nullptr;
  return text ? std::string_view{*text} : std::string_view{};
}

/// Seconds since the epoch, which may have a fraction (RFC 7519 2, NumericDate). Nothing if it is no number.
std::optional<double> seconds_of(const json::value& value) {
  if (value.is_int64()) return static_cast<double>(value.get_int64());
  if (value.is_uint64()) return static_cast<double>(value.get_uint64());
  if (value.is_double() && std::isfinite(value.get_double())) return value.get_double();
  return std::nullopt;
}

/// As near to it as a clock's time can be: a token may be good for 10,000 years.
protocol::wall_time time_of(double seconds) {
  constexpr double farthest = 100.0 * 365 * 24 * 3600 * 2;  // 2169
  const std::chrono::duration<double> since{std::clamp(seconds, -farthest, farthest)};
  return protocol::wall_time{duration_cast<system_clock::duration>(since)};
}

/// A number where there is that claim; `wrong` where it is something else.
std::optional<protocol::wall_time> date(const json::object& claims, std::string_view name,
                                        bool& wrong) {
  const auto* const value = claims.if_contains(name);
  if (!value) return std::nullopt;
  const auto seconds = seconds_of(*value);
  wrong |= !seconds;
  return seconds ? std::optional{time_of(*seconds)} : std::nullopt;
}

/// One of the audiences, if there are several (RFC 7519 4.1.3).
bool is_for(const json::object& claims, const std::string& audience) {
  const auto* const value = claims.if_contains("aud");
  if (!value) return audience.empty();
  if (audience.empty()) return false;
  const auto same = [&](const json::value& one) {
    return one.is_string() && std::string_view{one.get_string()} == audience;
  };
  return value->is_array() ? std::ranges::any_of(value->get_array(), same) : same(*value);
}

connection_metadata chosen(const json::object& claims, const std::vector<std::string>& wanted) {
  connection_metadata found;
  for (const auto& name : wanted) {
    const auto* const value = claims.if_contains(name);
    if (!value) continue;
    found.emplace_back(name, value->is_string() ? std::string{value->get_string()}
                                                : json::serialize(*value));
  }
  return found;
}

std::variant<admit, why> judge(const json::object& claims, const jwt_options& o,
                               protocol::wall_time now) {
  bool wrong = false;
  const auto expires = date(claims, "exp", wrong);
  const auto begins = date(claims, "nbf", wrong);
  if (wrong || (!expires && o.require_expiry)) return why::token_claims;
  if (expires && now >= *expires + o.leeway) return why::token_expired;
  if (begins && now + o.leeway < *begins) return why::token_not_yet;
  if (!is_for(claims, o.audience)) return why::token_audience;
  if (!o.issuer.empty() && text_of(claims, "iss") != o.issuer) return why::token_issuer;
  const auto user = text_of(claims, o.user_claim);
  if (user.empty()) return why::token_claims;
  admit in{.user = std::string{user}, .metadata = chosen(claims, o.metadata_claims)};
  // From then on it would not be accepted any more.
  if (expires) in.expires_at = *expires + o.leeway;
  return in;
}

}  // namespace

std::string_view to_string(jwt_algorithm algorithm) noexcept {
  return names[static_cast<std::size_t>(algorithm)];
}

token_verifier::token_verifier(jwt_options o, clock now)
    : options_(std::move(o)),
      now_(std::move(now)),
      key_(std::make_shared<const std::string>(load_token_key(options_))) {}

token_verifier::key_bytes token_verifier::key() const {
  const std::lock_guard lock{mutex_};
  return key_;
}

void token_verifier::reload() {
  auto next = std::make_shared<const std::string>(load_token_key(options_));
  const std::lock_guard lock{mutex_};
  key_ = std::move(next);
}

std::variant<admit, upgrade_refusal> token_verifier::verify(std::string_view token) const {
  if (!has_form(token)) return why::token_malformed;
  const std::string text{token};
  // The key is shown to no token but one of the algorithm that is configured: libjwt would verify an HS256 token with the
  // bytes of a public RSA key, which everybody has.
  const auto unverified = decode(text, {});
  const auto head =
      as_object(unverified ? jwt_get_headers_json(unverified.get(), nullptr) : nullptr);
  if (!head.is_object()) return why::token_malformed;
  if (text_of(head.get_object(), "alg") != to_string(*options_.algorithm))
    return why::token_algorithm;
  // What a token says must be understood (RFC 7515 4.1.11), and nothing here is.
  if (head.get_object().contains("crit")) return why::token_malformed;
  const auto verified = decode(text, *key());
  if (!verified) return why::token_signature;
  if (jwt_get_alg(verified.get()) != jwt_str_alg(to_string(*options_.algorithm).data()))
    return why::token_algorithm;
  const auto claims = as_object(jwt_get_grants_json(verified.get(), nullptr));
  if (!claims.is_object()) return why::token_malformed;
  return judge(claims.get_object(), options_, now_());
}

}  // namespace fairlead::service
