// What clients say of who they are and where they were: the query with which they attach to a session, the tokens that let
// them, their acknowledgements, their JSON Web Tokens. The first byte says which; a new kind of token gets a line in `kinds` and a function.
#include "tests/support/tokens.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "net/request_target.hpp"
#include "protocol/resume_tokens.hpp"
#include "protocol/session_frames.hpp"
#include "protocol/utf8.hpp"
#include "service/attach_query.hpp"
#include "service/bearer.hpp"
#include "service/token.hpp"
#include "tests/fuzz/input.hpp"

namespace fairlead::fuzz {
namespace {

using protocol::time_point;

// --- the query ------------------------------------------------------------------------------------------------------

/// What stands for each parameter of a target that holds a token, decoded.
std::vector<std::string> shown_tokens(std::string_view target) {
  std::vector<std::string> shown;
  const auto question = target.find('?');
  if (question == std::string_view::npos) return shown;
  for (auto rest = target.substr(question + 1);;) {
    const auto end = std::min(rest.find('&'), rest.size());
    const auto one = rest.substr(0, end);
    const auto equals = std::min(one.find('='), one.size());
    if (const auto name = net::percent_decoded(one.substr(0, equals));
        name && (*name == "token" || *name == "access_token"))
      shown.emplace_back(one.substr(std::min(equals + 1, one.size())));
    if (end == rest.size()) return shown;
    rest.remove_prefix(end + 1);
  }
}

void attach_query(input& in) {
  const auto query = in.rest();
  const auto wanted = service::parse_attach_query(query);
  const auto target = "/ws?" + std::string(query);
  const auto shown = service::without_secrets(target);
  for (const auto& token : shown_tokens(shown))
    promise(token.empty() || token == "***", "no token is shown");
  promise(service::without_secrets(shown) == shown, "what is shown needs no second look");
  promise(std::ranges::count(target, '&') == std::ranges::count(shown, '&'),
          "nothing else is left out");

  if (!wanted.has_value()) {
    const auto& wrong = wanted.error();
    static constexpr std::array<std::string_view, 4> names{"session", "token", "after", "epoch"};
    promise(std::ranges::find(names, wrong.where) != names.end(), "a problem names a parameter");
    promise(!wrong.what.empty() && protocol::valid_utf8(wrong.what), "and says what is wrong");
    return;
  }
  if (!*wanted) return;
  const auto& asked = **wanted;
  promise(protocol::valid_session_id(asked.session), "an id that may be shown as it is");
  if (asked.token.empty()) return;
  const auto again = service::parse_attach_query(std::string_view(shown).substr(4));
  promise(again.has_value() && *again && (*again)->token == "***",
          "what is shown is the same request with another token");
}

// --- resume tokens --------------------------------------------------------------------------------------------------

/// The rules of resume_tokens.hpp, as one list that nothing is ever erased from.
class session_of_tokens {
 public:
  explicit session_of_tokens(input& in)
      : in_(in), lifetime_(1 + in.up_to(100)), tokens_(lifetime_, sockets) {}

  void step() {
    switch (in_.up_to(5)) {
    case 0: issue(); break;
    case 1: attach(); break;
    case 2: leave(); break;
    case 3: now_ += std::chrono::milliseconds{in_.up_to(60)}; break;
    default: stranger(); break;
    }
    for (const auto& k : all_)
      promise(tokens_.good(k.text, now_) == good(k), "good is what the rules say is good");
  }

 private:
  struct known {
    std::string text;
    std::uint32_t number, before;
    time_point expires;
    bool gone = false;
  };
  [[nodiscard]] bool good(const known& k) const { return !k.gone && now_ < k.expires; }

  static constexpr std::size_t sockets = 2;  // more may attach here, and hold their tokens
  static constexpr std::size_t most = 2 * sockets + protocol::resume_tokens::spare;

  /// The bound: of those that are left, the oldest that no socket holds makes room, but not the one that was just used.
  void make_room(std::uint32_t used) {
    known* idle = nullptr;
    std::size_t left = 0;
    for (auto& k : all_) {
      if (k.expires <= now_) k.gone = true;
      if (k.gone) continue;
      ++left;
      if (!idle && k.expires != time_point::max() && k.number != used) idle = &k;
    }
    if (left >= most && idle) idle->gone = true;
  }
  std::string fresh() { return "token-" + std::to_string(all_.size()); }
  void add(std::uint32_t before, time_point expires) {
    make_room(before);
    all_.push_back({fresh(), static_cast<std::uint32_t>(all_.size() + 1), before, expires, false});
  }

  void issue() {
    tokens_.issue(fresh(), now_);
    add(0, now_ + lifetime_);
  }
  /// As sessions do it: only with a token that is good.
  void attach() {
    if (all_.empty()) return;
    auto& used = all_[in_.up_to(all_.size())];
    if (!tokens_.good(used.text, now_)) return;
    const auto number = tokens_.rotate(used.text, fresh(), now_);
    for (auto& k : all_)
      if (k.number == used.before) k.gone = true;
    add(used.number, time_point::max());
    promise(number == all_.back().number, "a socket holds the token that it was given");
  }
  void leave() {
    if (all_.empty()) return;
    auto& held = all_[in_.up_to(all_.size())];
    tokens_.release(held.number, now_);
    if (!held.gone) held.expires = now_ + lifetime_;
  }
  void stranger() {
    const auto made_up = std::string(in_.text(in_.up_to(12)));
    const auto issued = std::ranges::any_of(all_, [&](auto& k) { return k.text == made_up; });
    promise(issued || !tokens_.good(made_up, now_), "what was never issued is not good");
  }

  input& in_;
  const std::chrono::milliseconds lifetime_;
  protocol::resume_tokens tokens_;
  time_point now_{std::chrono::hours{1}};
  std::vector<known> all_;
};

void resume_tokens(input& in) {
  session_of_tokens s(in);
  for (int steps = 0; steps < 500 && !in.empty(); ++steps) s.step();
}

// --- acknowledgements -----------------------------------------------------------------------------------------------

void acknowledgement(input& in) {
  const auto text = in.rest();
  const auto acked = protocol::parse_ack(text);
  if (!acked) return;
  std::string packed(text);
  std::erase_if(packed, [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; });
  promise(packed == "{\"ack\":" + std::to_string(*acked) + "}", "nothing but an acknowledgement");
}

// --- JSON Web Tokens ------------------------------------------------------------------------------------------------

/// A token that anybody can write, one signed by somebody else, and one by the issuer: whatever is in it, only the last is
/// taken, and only if it says until when and for whom.
void json_web_token(input& in) {
  static const protocol::wall_time now{std::chrono::seconds{1'800'000'000}};
  static const service::token_verifier verifier{
      {.algorithm = jwt_algorithm::hs256,
       .key = test::keys_of(jwt_algorithm::hs256).verifies,
       .audience = "us",
       .metadata_claims = {"team"}},
      [] { return now; }};
  const auto how = in.up_to(3);
  if (how == 0) {
    promise(!std::holds_alternative<admit>(verifier.verify(in.rest())), "nobody can guess a token");
    return;
  }
  const bool standard_head = in.up_to(2) == 0;
  const std::string head(standard_head ? R"({"alg":"HS256"})" : in.text(in.byte()));
  const std::string claims(in.rest());
  const auto token = test::token_with_head(head, jwt_algorithm::hs256, claims,
                                           test::keys_of(jwt_algorithm::hs256, how == 1));
  const auto said = verifier.verify(token);
  const auto* const in_as = std::get_if<admit>(&said);
  if (!in_as) return;
  promise(how == 2, "only the issuer's tokens are good");
  promise(!in_as->user.empty() && in_as->expires_at && *in_as->expires_at > now,
          "who is let in has a name and an end");
  promise(head.find("HS256") != std::string::npos || head.find('\\') != std::string::npos,
          "only the algorithm that is configured");
  promise(claims.find("us") != std::string::npos || claims.find('\\') != std::string::npos,
          "only tokens for us");
}

constexpr std::array<kind, 4> kinds{&attach_query, &resume_tokens, &acknowledgement,
                                    &json_web_token};

}  // namespace
}  // namespace fairlead::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fairlead::fuzz::run_one_of(fairlead::fuzz::kinds, {data, size});
}
