#include "tests/simulation/oracle.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace fairlead::simulation {

std::vector<test::sent_frame> observed_link::read() {
  const auto fresh = std::string_view{link_->sent}.substr(read_);
  auto frames = test::frames_in(fresh);
  for (const auto& f : frames) {
    require(!closed_with_, fmt::format("link {}: a frame follows a Close", number_));
    read_ += (f.payload.size() < 126 ? 2 : f.payload.size() <= 0xffff ? 4 : 10) + f.payload.size();
    messages_ += f.opcode <= 2 ? 1 : 0;
    if (!f.is_close()) continue;
    closed_with_ = test::close_code_in(fresh);
    closed_because_ = f.payload.substr(std::min<std::size_t>(2, f.payload.size()));
  }
  if (closed_with_)
    require(read_ == link_->sent.size(), fmt::format("link {}: bytes follow a Close", number_));
  return frames;
}

std::string ledger::begin(sent what, std::size_t padding) {
  all_.push_back(std::move(what));
  count_unsettled(all_.back(), 1);
  auto text = fmt::format("m{} ", last());
  text.append(padding, '.');
  return text;
}

/// Those that go by id wait elsewhere first.
void ledger::count_unsettled(const sent& m, int change) {
  if (m.by != way::handle || !m.reports) return;
  auto& of = unsettled_[m.link];
  of.all += change;
  if (m.others_make_way) of.others_make_way += change;
}

void ledger::check_unsettled(std::size_t link, std::size_t most) const {
  const auto found = unsettled_.find(link);
  if (found == unsettled_.end()) return;
  // Until its actor makes room for them, those that others make way for may lie in the mailbox as another queue.
  const auto& [all, others_make_way] = found->second;
  require(all <= (others_make_way > 0 ? 2 * most : most),
          fmt::format("link {}: {} messages wait, of {}", link, all, most));
}

void ledger::settled(std::size_t message, send_result r) {
  auto& m = all_.at(message);
  require(!m.outcome, fmt::format("message {}: a second outcome, {} after {}", message,
                                  to_string(r), to_string(m.outcome.value_or(r))));
  m.outcome = r;
  count_unsettled(m, -1);
  written_ += r == send_result::written ? 1 : 0;
  const bool by_connection = r == send_result::closing || r == send_result::overflow ||
                             r == send_result::expired || r == send_result::too_large;
  refused_ += m.by == way::handle && by_connection ? 1 : 0;
}

void ledger::summed_up(std::size_t message, const broadcast_summary& s,
                       std::vector<std::size_t> named) {
  auto& m = all_.at(message);
  require(!m.summary, fmt::format("message {}: a second summary", message));
  m.summary = s;
  m.named = std::move(named);
}

void ledger::arrived(std::size_t link, std::string_view user, std::string_view text) {
  std::size_t message = 0;
  require(text.starts_with('m') &&
              std::from_chars(text.data() + 1, text.data() + text.size(), message).ec ==
                  std::errc{} &&
              message < all_.size(),
          fmt::format("link {}: got what nobody sent: {}", link, text));
  auto& m = all_[message];
  require(m.link == SIZE_MAX || m.link == link,
          fmt::format("message {} for link {} came to {}", message, m.link, link));
  require(!m.except.contains(link) && m.let_in && (m.by != way::user || m.user == user),
          fmt::format("message {} came to link {}, which it was not for", message, link));
  require(m.seen_on.insert(link).second,
          fmt::format("message {} came to link {} twice", message, link));
  auto& newest = newest_[{link, m.by}];
  require(newest <= message,
          fmt::format("link {}: message {} came behind {}, which went the same way", link, message,
                      newest));
  newest = message;
}

std::size_t ledger::missed_by(std::size_t link, std::string_view user, bool to_the_end) const {
  return missed_by(link, user, way::broadcast, to_the_end) +
         missed_by(link, user, way::user, to_the_end);
}

std::size_t ledger::missed_by(std::size_t link, std::string_view user, way by,
                              bool to_the_end) const {
  std::size_t missed = 0, since = 0;
  bool got_some = false;
  for (const auto& m : all_) {
    if (m.by != by || !m.let_in || m.except.contains(link)) continue;
    if (by == way::user && m.user != user) continue;
    if (m.seen_on.contains(link)) {
      missed += std::exchange(since, 0);
      got_some = true;
    } else if (got_some) {
      ++since;
    }
  }
  return missed + (to_the_end ? since : 0);
}

void ledger::check_summary(std::size_t message, const sent& m) {
  require(m.summary.has_value(), fmt::format("message {} has no summary", message));
  const auto& s = *m.summary;
  require(s.count(send_result::written) == m.seen_on.size(),
          fmt::format("message {}: {} are said to be written, {} were", message,
                      s.count(send_result::written), m.seen_on.size()));
  const auto nobody = s.count(send_result::no_such_connection) + s.count(send_result::reconnecting);
  const auto names = m.let_in ? std::min<std::size_t>(m.most_named, s.refused() - nobody) : 0;
  require(m.named.size() == names,
          fmt::format("message {}: {} who refused are named, of {} who did and {} asked for",
                      message, m.named.size(), s.refused(), m.most_named));
  const std::set<std::size_t> named(m.named.begin(), m.named.end());
  require(named.size() == m.named.size(),
          fmt::format("message {}: somebody is named twice", message));
  for (const auto link : named)
    require(!m.seen_on.contains(link) && !m.except.contains(link),
            fmt::format("message {}: link {} is said to have refused it", message, link));
}

void ledger::close_books() const {
  for (std::size_t i = 0; i < all_.size(); ++i) {
    const auto& m = all_[i];
    if (!m.reports) continue;
    if (m.link == SIZE_MAX) {
      check_summary(i, m);
      continue;
    }
    require(m.outcome.has_value(), fmt::format("message {} has no outcome", i));
    require((*m.outcome == send_result::written) == !m.seen_on.empty(),
            fmt::format("message {}: said to be {}, but {}", i, to_string(*m.outcome),
                        m.seen_on.empty() ? "never came out" : "came out"));
  }
}

}  // namespace fairlead::simulation
