#include "protocol/resume_tokens.hpp"

#include <algorithm>
#include <utility>

#include "protocol/defect.hpp"

namespace fairlead::protocol {
namespace {

/// Looks at every byte, so that how long it takes tells nothing about where they differ.
bool same(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  return difference == 0;
}

}  // namespace

void resume_tokens::issue(std::string token, time_point now) {
  add({std::move(token), ++last_, 0, now + lifetime_}, now);
}

bool resume_tokens::good(std::string_view token, time_point now) const noexcept {
  bool found = false;
  for (const auto& e : entries_) found |= same(e.token, token) && now < e.expires;
  return found && !token.empty();
}

std::uint32_t resume_tokens::number_of(std::string_view token) const noexcept {
  std::uint32_t number = 0;
  for (const auto& e : entries_)
    if (same(e.token, token)) number = e.number;
  return number;
}

std::uint32_t resume_tokens::rotate(std::string_view used, std::string next, time_point now) {
  const auto before = number_of(used);
  const auto in_use = std::ranges::find(entries_, before, &entry::number);
  if (in_use != entries_.end()) {
    std::erase_if(entries_, [old = in_use->before, before](const entry& e) {
      return e.number == old || (planted(defect::used_token_gone) && e.number == before);
    });
  }
  add({std::move(next), ++last_, before, time_point::max()}, now);
  return last_;
}

void resume_tokens::release(std::uint32_t held, time_point now) {
  for (auto& e : entries_)
    if (e.number == held) e.expires = now + lifetime_;
}

void resume_tokens::add(entry added, time_point now) {
  std::erase_if(entries_, [&](const entry& e) { return e.expires <= now; });
  if (entries_.size() >= most_) {
    const auto in_use = [&](const entry& e) {
      return e.expires == time_point::max() || e.number == added.before;
    };
    const auto oldest = std::ranges::find_if_not(entries_, in_use);
    if (oldest != entries_.end()) entries_.erase(oldest);
  }
  entries_.push_back(std::move(added));
}

}  // namespace fairlead::protocol
