#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "actors/connection_core.hpp"
#include "tests/simulation/world.hpp"

/// What must hold.
namespace fairlead::simulation {

void world::look_at(peer& p) {
  for (const auto& frame : p.seen.read()) {
    if (frame.opcode != 1) continue;
    const bool is_events = frame.payload.starts_with('{');
    if (!is_events) {
      require(p.reader == SIZE_MAX || readers_[p.reader].greeted(),
              fmt::format("link {}: a session's, and the first message is {}", p.seen.number(),
                          frame.payload));
      ledger_.arrived(p.seen.number(), p.user, frame.payload);
      continue;
    }
    require(p.reader != SIZE_MAX,
            fmt::format("link {} is no session's and got {}", p.seen.number(), frame.payload));
    auto& r = readers_[p.reader];
    note("reader {} gets {}", p.reader, frame.payload);
    r.got(frame.payload, sessions_[r.session()].at);
  }
}

/// What waits for the kernel; and with that what waits in the mailbox, which may hold as much again of what others are to
/// make way for. For a session's nothing makes way.
void world::check_bounds(const peer& p) const {
  constexpr std::size_t close_frame = 2 + 125;  // has room of its own
  const auto number = p.seen.number();
  const auto& link = p.seen.link();
  require(link.queued_bytes() <= p.most_queued + close_frame,
          fmt::format("link {}: {} bytes are queued, of {}", number, link.queued_bytes(),
                      p.most_queued));
  require(link.queued_messages() <= p.most_messages,
          fmt::format("link {}: {} messages are queued, of {}", number, link.queued_messages(),
                      p.most_messages));
  ledger_.check_unsettled(number, p.most_messages);
  if (!p.handle) return;
  const auto& counted = p.handle.core()->queued();
  const auto times = p.reader == SIZE_MAX ? 2U : 1U;
  require(counted.messages() <= times * p.most_messages && counted.bytes() <= times * p.most_queued,
          fmt::format("link {}: {} messages of {} bytes were let in, of {} of {}", number,
                      counted.messages(), counted.bytes(), p.most_messages, p.most_queued));
}

void world::check() {
  require(broken_.empty(), broken_);
  if (harness_->backbone) {
    check_kept();
    check_queued_by_all();
  }
  for (auto& p : peers_) {
    if (p->gone) continue;
    look_at(*p);
    check_bounds(*p);
    if (p->seen.link().has_observer()) continue;
    if (p->reader != SIZE_MAX && !readers_[p->reader].link()) continue;
    p->gone = true;
    note("link {} is over", p->seen.number());
    if (p->reader != SIZE_MAX) readers_[p->reader].lost(p->seen.closed_with());
  }
  check_users();
}

/// All loops are turned by one thread: nobody passes the budget here.
void world::check_kept() const {
  const auto kept = harness_->backbone->stream_bytes();
  require(kept <= most_kept_, fmt::format("{} bytes of events are kept, of {}", kept, most_kept_));
}

/// By a sixteenth it may pass, and by what came since each loop had a turn. Those that are closed for it have dropped what
/// they had, but for what was begun.
void world::check_queued_by_all() {
  if (most_queued_by_all_ == SIZE_MAX) return;
  std::size_t queued = 0, ever = 0;
  for (const auto& p : peers_) {
    const auto& link = p->seen.link();
    ever += link.ever_queued();
    if (link.has_observer() && !link.sealed()) queued += link.queued_bytes();
  }
  if (*lap_.loops_left == 0) {
    lap_.last_began_at = std::exchange(lap_.began_at, ever);
    *lap_.loops_left = harness_->loops.size();
    for (const auto& loop : harness_->loops) loop->post([left = lap_.loops_left] { --*left; });
  }
  queued = std::max(queued, harness_->backbone->queued_bytes());
  const auto most = most_queued_by_all_ + most_queued_by_all_ / 16 + ever - lap_.last_began_at;
  require(queued <= most, fmt::format("{} bytes are queued in all, of {}: {} may be at this moment",
                                      queued, most_queued_by_all_, most));
}

/// What is counted for all streams is what these keep, and for all queues nothing any more.
void world::check_tally() {
  std::size_t kept = 0;
  for (const auto& s : sessions_)
    if (s.handle.state() != session_state::ended) kept += harness_->look(s.handle.id()).kept_bytes;
  require(harness_->backbone->stream_bytes() == kept,
          fmt::format("{} bytes of events are counted, {} are kept",
                      harness_->backbone->stream_bytes(), kept));
  require(harness_->backbone->queued_bytes() == 0,
          fmt::format("{} bytes are counted as queued by all, and none is",
                      harness_->backbone->queued_bytes()));
}

/// What the connections count is what has become of everything: a broadcast that nobody asks after, too.
void world::check_traffic() {
  for (const auto& c : harness_->connections().connections) {
    const auto* const p = find(c.id);
    if (!p) continue;
    check_counts(*p, c.counts, c.state == connection_state::open);
    if (c.state == connection_state::open)
      require(c.queued_messages == 0 && c.queued_bytes == 0,
              fmt::format("link {}: {} messages of {} bytes are counted as queued, and none is",
                          p->seen.number(), c.queued_messages, c.queued_bytes));
  }
  for (const auto& c : harness_->closed_records())
    if (const auto* const p = find(c.id)) check_counts(*p, c.counts, false);
}

void world::check_counts(const peer& p, const traffic& counts, bool lives) const {
  const auto written = written_of(counts);
  const auto all = protocol::settled(counts);
  const auto came = p.seen.messages(), number = p.seen.number();
  // Of a run that broke off, and what an actor that ends has not heard of yet, counts as failed.
  require(lives ? written == came : written <= came,
          fmt::format("link {}: {} are counted as written, {} came", number, written, came));
  const auto missed = ledger_.missed_by(number, p.user, lives);
  require(all >= came + missed, fmt::format("link {}: {} came and {} did not, and {} are counted",
                                            number, came, missed, all));
}

/// Nothing is under way any more: who is attached has all that there is.
void world::check_all_caught_up() const {
  for (const auto& r : readers_) {
    const auto& s = sessions_[r.session()];
    if (!r.link() || s.at.empty() || s.handle.state() == session_state::ended) continue;
    const auto& link = peers_[*r.link()]->seen.link();
    if (!link.has_observer() || link.sealed() || !r.greeted()) continue;
    require(r.last() >= s.at.rbegin()->first,
            fmt::format("{}: a socket that reads has {} of {} events", s.handle.id(), r.last(),
                        s.at.rbegin()->first));
  }
}

void world::check_living() const {
  const auto living = static_cast<std::size_t>(
      std::ranges::count_if(peers_, [](const auto& p) { return p->seen.link().has_observer(); }));
  require(harness_->backbone->connection_count() == living,
          fmt::format("{} connections are counted, {} live", harness_->backbone->connection_count(),
                      living));
  const auto sessions = static_cast<std::size_t>(std::ranges::count_if(
      sessions_, [](const auto& s) { return s.handle.state() != session_state::ended; }));
  require(harness_->backbone->session_count() == sessions,
          fmt::format("{} sessions are counted, {} live", harness_->backbone->session_count(),
                      sessions));
}

/// All is over.
void world::check_end() const {
  // Where it was shut already, nobody is called any more.
  require(closings_.empty() || stopped_first_ || closings_.front() == 1,
          "a drain never closed the door");
  ledger_.close_books();
  for (const auto& s : sessions_) {
    s.close_books();
    require(s.handle.state() == session_state::ended, s.handle.id() + " has outlived its server");
  }
  for (const auto& c : closes_) require(c.answers == 1, "a close was never answered");
  for (const auto n : inboxes_) require(n == 1, "an inbox was never answered");
  check_closed_users();
  for (const auto& p : peers_) {
    require(p->closes.size() == p->opened && p->opened <= 1,
            fmt::format("link {}: its handlers heard of {} opens and {} closes", p->seen.number(),
                        p->opened, p->closes.size()));
    require(!p->seen.link().has_observer(), fmt::format("link {} lives on", p->seen.number()));
    require(p->seen.holders() == 1, fmt::format("link {} is held by somebody", p->seen.number()));
  }
  for (const auto& loop : harness_->loops) require(loop->timers() == 0, "a timer lives on");
}

}  // namespace fairlead::simulation
