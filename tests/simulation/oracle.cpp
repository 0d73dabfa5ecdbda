#include "tests/simulation/oracle.hpp"

#include <charconv>

#include <fmt/format.h>

namespace fairlead::simulation {

std::vector<test::sent_frame> observed_link::read() {
  const auto fresh = std::string_view{link_->sent}.substr(read_);
  auto frames = test::frames_in(fresh);
  for (const auto& f : frames) {
    require(!closed_with_, fmt::format("link {}: a frame follows a Close", number_));
    read_ += (f.payload.size() < 126 ? 2 : f.payload.size() <= 0xffff ? 4 : 10) + f.payload.size();
    if (f.is_close()) closed_with_ = test::close_code_in(fresh);
  }
  if (closed_with_)
    require(read_ == link_->sent.size(), fmt::format("link {}: bytes follow a Close", number_));
  return frames;
}

std::string ledger::begin(std::uint64_t sender, std::size_t link, std::size_t padding,
                          bool reports) {
  all_.push_back({.sender = sender,
                  .link = link,
                  .seen_on = {},
                  .outcome = {},
                  .summary = {},
                  .reports = reports});
  auto text = fmt::format("m{} ", last());
  text.append(padding, '.');
  return text;
}

void ledger::settled(std::size_t message, send_result r) {
  auto& m = all_.at(message);
  require(!m.outcome, fmt::format("message {}: a second outcome, {} after {}", message,
                                  to_string(r), to_string(m.outcome.value_or(r))));
  m.outcome = r;
  written_ += r == send_result::written ? 1 : 0;
}

void ledger::summed_up(std::size_t message, const broadcast_summary& s) {
  auto& m = all_.at(message);
  require(!m.summary, fmt::format("broadcast {}: a second summary", message));
  m.summary = s;
}

void ledger::arrived(std::size_t link, std::string_view text) {
  std::size_t message = 0;
  require(text.starts_with('m') &&
              std::from_chars(text.data() + 1, text.data() + text.size(), message).ec ==
                  std::errc{} &&
              message < all_.size(),
          fmt::format("link {}: got what nobody sent: {}", link, text));
  auto& m = all_[message];
  require(m.link == SIZE_MAX || m.link == link,
          fmt::format("message {} for link {} came to {}", message, m.link, link));
  require(m.seen_on.insert(link).second,
          fmt::format("message {} came to link {} twice", message, link));
  auto& newest = newest_[{link, m.sender}];
  require(newest <= message, fmt::format("link {}: message {} of sender {} came behind {}", link,
                                         message, m.sender, newest));
  newest = message;
}

void ledger::close_books() const {
  for (std::size_t i = 0; i < all_.size(); ++i) {
    const auto& m = all_[i];
    if (!m.reports) continue;
    if (m.link == SIZE_MAX) {
      require(m.summary.has_value(), fmt::format("broadcast {} has no summary", i));
      require(m.summary->count(send_result::written) == m.seen_on.size(),
              fmt::format("broadcast {}: {} are said to be written, {} were", i,
                          m.summary->count(send_result::written), m.seen_on.size()));
      continue;
    }
    require(m.outcome.has_value(), fmt::format("message {} has no outcome", i));
    require((*m.outcome == send_result::written) == !m.seen_on.empty(),
            fmt::format("message {}: said to be {}, but {}", i, to_string(*m.outcome),
                        m.seen_on.empty() ? "never came out" : "came out"));
  }
}

}  // namespace fairlead::simulation
