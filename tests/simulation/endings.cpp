#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "tests/simulation/world.hpp"

/// How it goes down: drains, an early stop, the end of every run.
namespace fairlead::simulation {

using namespace std::chrono_literals;

/// Seldom, but then often twice.
void world::goes_down() {
  if (!chance(going_down_ ? 50 : 15)) return;
  const bool counted = begins_to_go_down();
  if (chance(20)) {
    const std::chrono::milliseconds deadline{below(900)};
    note("the server stops within {} ms", deadline.count());
    stops_ = true;
    stopped_first_ |= closings_.empty();
    harness_->backbone->stop(deadline, close_code::going_away, "early", next_summary());
  } else {
    drain(counted);
  }
  if (counted) everything_runs();
}

/// `at_once`: nothing is to happen before the first close.
void world::drain(bool at_once) {
  const drain_options how{.grace =
                              std::chrono::milliseconds{at_once || chance(50) ? 0 : below(300)},
                          .rate = static_cast<std::uint32_t>(1 + below(200)),
                          .spread = std::chrono::milliseconds{below(2'000)},
                          .timeout = std::chrono::milliseconds{100 + below(3'000)},
                          .seed = 1 + below(1'000)};
  note("a drain: grace {} ms, {} a second, spread {} ms, {} ms in all", how.grace.count(), how.rate,
       how.spread.count(), how.timeout.count());
  closings_.push_back(0);
  harness_->backbone->drain(
      how,
      [this, which = closings_.size() - 1] {
        promised([&] { require(++closings_[which] == 1, "a drain closes the door twice"); });
      },
      next_summary());
}

std::function<void(shutdown_summary)> world::next_summary() {
  summaries_.emplace_back();
  return [this, which = summaries_.size() - 1](const shutdown_summary& s) {
    promised([&] {
      require(!summaries_[which], "a drain or a stop is answered twice");
      summaries_[which] = s;
    });
  };
}

/// True if all was quiet before, and is the first time: then what is in the summary is known.
bool world::begins_to_go_down() {
  if (std::exchange(going_down_, true) || chance(40)) return false;
  everything_runs();
  check();
  before_ = books_before();
  return true;
}

world::count_of_all world::books() const {
  count_of_all now{.refused = ledger_.refused()};
  for (const auto& p : peers_) {
    now.came += p->seen.messages();
    now.answered += p->answered ? 1 : 0;
  }
  return now;
}

world::count_of_all world::books_before() {
  auto now = books();
  now.connections = harness_->backbone->connection_count();
  now.written = now.came;
  for (const auto& c : harness_->connections().connections)
    if (const auto* const p = find(c.id))
      now.written = now.written - p->seen.messages() + written_of(c.counts);
  return now;
}

void world::check_summary(const shutdown_summary& s) const {
  const auto parts = [](const shutdown_summary& of) {
    return std::tuple{of.connections,      of.closed,           of.aborted, of.cut,
                      of.messages_written, of.messages_refused, of.took};
  };
  for (const auto& other : summaries_)
    require(other && parts(*other) == parts(s), "a drain and a stop are told different things");
  require(s.connections == s.closed + s.aborted && s.cut <= s.aborted,
          fmt::format("of {} connections {} closed, {} were aborted, {} cut", s.connections,
                      s.closed, s.aborted, s.cut));
  if (!before_) return;
  const auto now = books();
  const auto came = now.came - before_->came, refused = now.refused - before_->refused;
  require(s.connections == before_->connections,
          fmt::format("{} connections are said to have been there, and {} were", s.connections,
                      before_->connections));
  require(s.closed <= now.answered - before_->answered,
          fmt::format("{} are said to have closed, and {} answered", s.closed,
                      now.answered - before_->answered));
  // Of a run that broke off, and what an actor that ends has not heard of yet, counts as failed.
  require(s.messages_written <= now.came - before_->written &&
              s.messages_written + s.messages_refused >= came,
          fmt::format("while it went down {} messages came, {} are said to be written, {} refused",
                      came, s.messages_written, s.messages_refused));
  require(s.messages_refused >= refused,
          fmt::format("while it went down {} messages were refused, {} are said to be", refused,
                      s.messages_refused));
}

/// To each session that nobody is attached to, one of its readers: it must not be sent away again and again.
void world::come_back() {
  const auto has_socket = [this](std::size_t r) { return readers_[r].link().has_value(); };
  std::vector<std::size_t> back;
  for (const auto& s : sessions_) {
    if (s.handle.state() == session_state::ended) continue;
    if (std::ranges::any_of(s.readers, has_socket)) continue;
    const auto one = std::ranges::find_if(
        s.readers, [this](std::size_t r) { return !readers_[r].stays_away(); });
    if (one != s.readers.end()) back.push_back(*one);
  }
  for (const auto r : back) attach(r);
  for (auto& p : peers_) p->seen.link().upgrade();
  for (int i = 0; i < 3; ++i) {
    for (auto& p : peers_) p->seen.link().kernel_takes(SIZE_MAX);
    everything_runs();
    check();
  }
  for (const auto r : back) {
    if (sessions_[readers_[r].session()].handle.state() == session_state::ended) continue;
    require(readers_[r].greeted() && has_socket(r) &&
                !peers_[*readers_[r].link()]->seen.link().sealed(),
            fmt::format("reader {} came back while all was quiet, and was sent away", r));
  }
  check_all_caught_up();
}

void world::becomes_quiet() {
  note("all becomes quiet");
  for (int i = 0; i < 3; ++i) {
    for (auto& p : peers_) p->seen.link().kernel_takes(SIZE_MAX);
    everything_runs();
    check();
  }
  check_all_caught_up();
  harness_->advance(1'100ms);  // closes that nobody answers; twice the time for who took something
  check();
  if (!going_down_) {
    come_back();
    check_users_in_quiet();
  }
  check_living();
  check_tally();
  check_traffic();
  if (!going_down_) return;
  harness_->advance(3'200ms);  // longer than any drain
  check();
  require(harness_->backbone->connection_count() == 0, "somebody has outlived a drain");
  require(std::ranges::all_of(summaries_, [](const auto& s) { return s.has_value(); }),
          "a drain was never answered");
}

void world::finish() {
  if (!stops_) becomes_quiet();
  note("the server stops");
  if (!going_down_) before_ = books_before();
  const auto summary = harness_->stop(1s, false);
  check();
  check_summary(summary);
  check_end();
}

}  // namespace fairlead::simulation
