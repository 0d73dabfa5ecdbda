#include "service/bearer.hpp"

#include <algorithm>
#include <cctype>
#include <optional>

#include <fmt/format.h>

#include "net/request_target.hpp"
#include "service/attach_query.hpp"
#include "service/text.hpp"

namespace fairlead::service {
namespace {

bool same_without_case(std::string_view a, std::string_view b) noexcept {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

constexpr std::string_view authorization = "Authorization", subprotocols = "Sec-WebSocket-Protocol";

/// Calls `visit(value)` with each field of that name.
template <class Visitor>
void for_each_field(const upgrade_request& r, std::string_view name, Visitor&& visit) {
  for (const auto& [field, value] : r.headers)
    if (same_without_case(field, name)) visit(value);
}

/// The tokens that follow `bearer` in lists of subprotocols; those lists without both.
struct offered {
  std::vector<std::string> tokens, others;
};
offered subprotocols_of(const upgrade_request& r) {
  offered found;
  bool next_is_token = false;
  for_each_field(r, subprotocols, [&](std::string_view list) {
    for (auto& one : split_list(list)) {
      if (std::exchange(next_is_token, false))
        found.tokens.push_back(std::move(one));
      else if (one == bearer_subprotocol)
        next_is_token = true;
      else
        found.others.push_back(std::move(one));
    }
  });
  return found;
}

/// An unreadable value is one all the same: it is no token, and must not let another one pass.
std::string readable(std::string_view encoded) {
  return net::percent_decoded(encoded).value_or(std::string{});
}

/// Whether this parameter's value, or a part of it, may be a secret. Also where somebody mistook what separates parameters
/// (`;`, `&amp;`, a second `?`): then the secret's name is the end of another one, or in another one's value. And where they
/// encoded it more than once; who did that too often is not followed.
bool may_be_secret(std::string_view whole, std::string_view parameter) {
  constexpr int most_encodings = 4;
  auto plain = net::percent_decoded(whole);
  if (!plain) return true;
  const auto has = [&plain](std::string name) {
    name += '=';
    const auto same = [](unsigned char x, unsigned char y) {
      return std::tolower(x) == std::tolower(y);
    };
    return std::search(plain->begin(), plain->end(), name.begin(), name.end(), same) !=
           plain->end();
  };
  for (int i = 0; i < most_encodings; ++i) {
    if (has("token") || (!parameter.empty() && has(std::string{parameter}))) return true;
    auto again = net::percent_decoded(*plain);
    if (!again || again->size() == plain->size()) return false;
    plain = std::move(again);
  }
  return true;
}

}  // namespace

std::string_view bearer_credentials(std::string_view field) noexcept {
  constexpr std::string_view scheme = "bearer ";
  if (!same_without_case(field.substr(0, scheme.size()), scheme)) return {};
  field.remove_prefix(scheme.size());
  field.remove_prefix(std::min(field.find_first_not_of(' '), field.size()));
  return field;
}

std::variant<bearer, upgrade_refusal> find_bearer(const upgrade_request& r,
                                                  std::string_view parameter) {
  std::vector<bearer> found;
  for_each_field(r, authorization, [&](std::string_view field) {
    if (const auto token = bearer_credentials(field); !token.empty())
      found.push_back({std::string{token}});
  });
  for (auto& token : subprotocols_of(r).tokens) found.push_back({std::move(token), true});
  if (!parameter.empty()) {
    for_each_parameter(r.query, [&](std::string_view name, std::string_view value, auto) {
      if (readable(name) == parameter) found.push_back({readable(value)});
    });
  }
  if (found.size() == 1) return std::move(found.front());
  return found.empty() ? upgrade_refusal::token_missing : upgrade_refusal::token_ambiguous;
}

std::string without_secrets(std::string_view target, std::string_view parameter) {
  const auto question = target.find('?');
  std::string out{target.substr(0, question)};
  if (question == std::string_view::npos) return out;
  out += '?';
  for_each_parameter(target.substr(question + 1),
                     [&](std::string_view name, std::string_view, std::string_view whole) {
                       if (!may_be_secret(whole, parameter))
                         out += whole;
                       else if (const auto plain = net::percent_decoded(name);
                                plain && plain->find_first_of("=%") == std::string::npos)
                         out.append(name).append("=***");
                       else
                         out += "***";
                       out += '&';
                     });
  out.pop_back();
  return out;
}

request_copy::request_copy(const upgrade_request& r, const std::string* parameter)
    : target_(parameter ? without_secrets(r.target, *parameter) : std::string{r.target}),
      path_(r.path),
      peer_(r.peer),
      certificate_(r.certificate) {
  const auto others = parameter ? subprotocols_of(r).others : std::vector<std::string>{};
  for (const auto& [name, value] : r.headers) {
    if (parameter && same_without_case(name, subprotocols)) continue;
    if (parameter && same_without_case(name, authorization) && !bearer_credentials(value).empty())
      continue;
    headers_.emplace_back(name, value);
  }
  for (const auto& one : others) headers_.emplace_back(subprotocols, one);
  view_.target = target_;
  view_.path = path_;
  const auto question = view_.target.find('?');
  if (question != std::string_view::npos) view_.query = view_.target.substr(question + 1);
  view_.peer = peer_;
  view_.certificate = certificate_;
  for (const auto& [name, value] : headers_) view_.headers.emplace_back(name, value);
}

void request_copy::set_token(admit what) {
  token_ = std::move(what);
  view_.token = &token_;
}

}  // namespace fairlead::service
