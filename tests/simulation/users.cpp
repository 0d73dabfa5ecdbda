#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "tests/simulation/world.hpp"

/// What goes to a user: to every connection that it has at that moment, on whatever loop, and to no other.
namespace fairlead::simulation {

namespace {

constexpr std::size_t most_users = 3;

std::string name_of(std::size_t user) { return fmt::format("u{}", user); }

}  // namespace

/// Nobody's name, often.
std::string world::some_user() { return chance(50) ? name_of(below(most_users)) : ""; }

/// Who is registered, as far as can be seen from outside: it was told so, and lives.
bool world::is_there(const peer& p) const {
  if (!p.seen.link().has_observer()) return false;
  if (p.reader == SIZE_MAX) return p.opened > 0;
  const auto& r = readers_[p.reader];
  return r.link() == p.seen.number() && r.greeted();
}

world::user_request world::request_to(const std::string& user) const {
  user_request asked{.user = user, .links_before = peers_.size()};
  for (const auto& p : peers_) {
    if (user.empty() || p->user != user) continue;
    if (is_there(*p)) asked.there.push_back(p->seen.number());
    if (!p->forgotten) ++asked.at_most;
  }
  return asked;
}

void world::send_to_user() {
  // Now and then nobody's, or one's who never comes.
  const auto user = chance(5) ? std::string{} : name_of(below(most_users + 1));
  auto how = some_options();
  const bool reports = chance(70);
  if (reports && chance(30)) how.refused_ids = 1 + below(3);
  send_to_user(user, how, reports, below(chance(5) ? 1'200 : 120));
}

void world::send_to_user(const std::string& user, const send_options& how, bool reports,
                         std::size_t padding) {
  auto text = ledger_.begin(
      {.by = way::user, .user = user, .reports = reports, .most_named = how.refused_ids}, padding);
  const auto m = ledger_.last();
  note("message {} to the user '{}'{}, {} bytes", m, user,
       reports ? "" : ", that nobody asks after", text.size());
  broadcast_callback done;
  if (reports) {
    user_sends_.push_back({request_to(user), m});
    done = [this, m, which = user_sends_.size() - 1](const broadcast_summary& s) {
      note("message {} met {} connections, {} have it", m, s.addressed(),
           s.count(send_result::written));
      auto named = links_of(s);
      promised([&] { ledger_.summed_up(m, s, std::move(named)); });
      user_sends_[which].summary = s;
    };
  }
  if (!harness_->backbone->send_to_user(user, message::text(std::move(text)), how, std::move(done)))
    ledger_.turned_away(m);
}

/// All who were there all the time, and nobody who had left before.
void world::check_answered(const user_send& sent) const {
  const auto& [user, there, at_most, links_before] = sent.to;
  const auto& s = *sent.summary;
  const auto name = fmt::format("message {} to the user '{}'", sent.message, user);
  require(s.addressed() > 0, name + " met nothing");
  if (!ledger_.was_let_in(sent.message)) {
    require(s.addressed() == 1 && s.count(send_result::overflow) == 1,
            name + " was turned away, and is said to have met somebody");
    return;
  }
  const auto stayed = static_cast<std::size_t>(std::ranges::count_if(
      there, [this](std::size_t link) { return peers_[link]->seen.link().has_observer(); }));
  const auto came = static_cast<std::size_t>(std::count_if(
      peers_.begin() + static_cast<std::ptrdiff_t>(links_before), peers_.end(),
      [&to = sent.to](const auto& p) { return !to.user.empty() && p->user == to.user; }));
  const auto nobody = s.count(send_result::no_such_connection) + s.count(send_result::reconnecting);
  require(nobody == 0 || s.addressed() == 1,
          name + " is said to have met both nobody and somebody");
  require(s.count(send_result::reconnecting) == 0 || has_user_behaviors_,
          name + ": nobody waits for that user");
  const auto met = s.addressed() - nobody;
  require(met >= stayed && met <= at_most + came,
          fmt::format("{} met {} connections; {} were there all the time, {} at most at some time",
                      name, met, stayed, at_most + came));
}

void world::close_user() {
  const auto user = name_of(below(most_users + 1));
  const auto which = user_closes_.size();
  user_closes_.push_back({.to = request_to(user),
                          .reason = fmt::format("{} is to go, {}", user, which),
                          .is_valid = chance(90)});
  const auto& asked = user_closes_.back();
  note("close the user {}{}", user, asked.is_valid ? "" : ", with a code that may not be sent");
  harness_->backbone->close_user(
      user, asked.is_valid ? static_cast<close_code>(4'001) : close_code::no_status, asked.reason,
      [this, which](std::size_t started) {
        note("close {} of a user started {}", which, started);
        promised([&] {
          require(!user_closes_[which].started, "a close of a user is answered twice");
          user_closes_[which].started = started;
        });
      });
}

/// Whoever was there and still is, is closing.
void world::check_answered(const user_close& asked) const {
  if (!asked.is_valid) return;
  for (const auto number : asked.to.there) {
    const auto& link = peers_[number]->seen.link();
    require(!link.has_observer() || link.sealed(),
            fmt::format("link {} of {}, who was closed, is open", number, asked.to.user));
  }
}

void world::check_users() {
  for (auto& sent : user_sends_)
    if (sent.summary && !std::exchange(sent.checked, true)) check_answered(sent);
  for (auto& asked : user_closes_)
    if (asked.started && !std::exchange(asked.checked, true)) check_answered(asked);
}

/// All is quiet: it is known who is there, and a message to each user meets exactly these; and perhaps whom a session has
/// turned away and who has not answered that yet.
void world::check_users_in_quiet() {
  for (std::size_t u = 0; u <= most_users; ++u) {
    const auto user = name_of(u);
    std::size_t open = 0, closing = 0, turned_away = 0;
    for (const auto& p : peers_) {
      if (p->user != user || !p->seen.link().has_observer()) continue;
      const bool closes = p->seen.link().sealed();
      ++(is_there(*p) ? (closes ? closing : open) : turned_away);
    }
    send_to_user(user, {}, true, 0);
    everything_runs();
    check();
    const auto& s = user_sends_.back().summary;
    require(s.has_value(), fmt::format("a message to {} has no outcome", user));
    const auto met = s->addressed() - s->count(send_result::no_such_connection) -
                     s->count(send_result::reconnecting);
    require(
        s->count(send_result::written) == open && s->count(send_result::closing) == closing &&
            met >= open + closing && met <= open + closing + turned_away,
        fmt::format("{} has {} connections that are open and {} that close, and a message met {}, "
                    "was written to {}, met {} that close",
                    user, open, closing, met, s->count(send_result::written),
                    s->count(send_result::closing)));
  }
}

/// All is over: each close of a user counts those that it began, and these are that user's.
void world::check_closed_users() const {
  for (const auto& asked : user_closes_) {
    const auto& user = asked.to.user;
    require(asked.started.has_value(), fmt::format("a close of {} was never answered", user));
    std::size_t by_it = 0, unknown = 0;
    for (const auto& p : peers_) {
      const auto told = p->closed_because(), seen = p->seen.closed_because();
      const bool is_its = told == asked.reason || seen == asked.reason;
      require(!is_its || p->user == user,
              fmt::format("link {} was closed, and {} was to be", p->seen.number(), user));
      by_it += is_its ? 1 : 0;
      unknown += p->user == user && !told && !seen ? 1 : 0;
    }
    const auto most = asked.is_valid ? by_it + unknown : 0;
    require(*asked.started >= by_it && *asked.started <= most,
            fmt::format("a close of {} is said to have closed {}; {} were closed by it, {} at most",
                        user, *asked.started, by_it, most));
  }
}

}  // namespace fairlead::simulation
