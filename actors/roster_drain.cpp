#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

#include "actors/connection_actor.hpp"
#include "actors/roster.hpp"
#include "protocol/defect.hpp"
#include "protocol/drain.hpp"

/// How a loop's connections are told to go, and how it is known that all have.
namespace fairlead::actors {

namespace {

constexpr std::chrono::milliseconds drain_step{20};  // between two batches of closes

}  // namespace

void roster::on(const drain& m) {
  const bool sooner = m.all_told_by < farewell_.all_told_by;
  farewell_ = m;
  if (!std::exchange(draining_, true)) begin_drain();
  if (sooner) {  // else they leave at the pace that they have
    leaving_at_first_ = leaving_.size();
    leaving_since_ = loop().now();
  }
  close_some();
  report_if_drained();
}

void roster::begin_drain() {
  here_.refusing = true;
  env_.drain.connections += known_.size();
  for (const auto& [serial, e] : known_) {
    if (!protocol::planted(protocol::defect::old_messages))
      count_messages(actor_of(*e.who).counts_with(*e.who), -1);
    if (e.member == not_admitted) tell_to_close(e.who);  // nobody is admitted any more
  }
  leaving_ = members_;
  std::shuffle(leaving_.begin(), leaving_.end(), std::mt19937_64{farewell_.seed + here_.index});
  std::vector<std::string> lingering;
  for (const auto& [user, its] : user_actors_)
    if (its.attached == 0) lingering.push_back(user);
  for (const auto& user : lingering) retire_user(user);
}

void roster::close_some() {
  if (leaving_.empty()) return;
  deliver_waiting(SIZE_MAX);  // broadcasts that came before are written before the Close
  // As many as are due by the next time, so that the first are not waited for.
  const auto since_then = [&](protocol::time_point t) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(t - leaving_since_);
  };
  const auto stay =
      leaving_at_first_ - protocol::due(leaving_at_first_, since_then(loop().now()) + drain_step,
                                        since_then(farewell_.all_told_by));
  while (leaving_.size() > stay) {
    tell_to_close(leaving_.back());
    leaving_.pop_back();
  }
  if (!leaving_.empty()) loop().schedule(pace_, loop().now() + drain_step);
}

void roster::tell_to_close(const core_ptr& who) {
  if (who->ended() != send_result::written) return;
  ++env_.drain.asked;
  who->close(farewell_.code, farewell_.reason, initiator::shutdown, {});
}

/// What connections have sent before a drain begins is no part of its summary.
void roster::count_messages(const protocol::traffic& all, std::int64_t sign) {
  const auto written = all.outcomes[static_cast<std::size_t>(send_result::written)];
  env_.drain.messages_written += sign * static_cast<std::int64_t>(written);
  env_.drain.messages_refused += sign * static_cast<std::int64_t>(protocol::refused(all));
}

void roster::report_if_drained() {
  const bool empty =
      known_.empty() && here_.enrolling == 0 && user_actors_.empty() && here_.behaviors == 0;
  if (!draining_ || !empty || std::exchange(drained_reported_, true)) return;
  tell(env_.supervisor, roster_drained{here_.index});
}

}  // namespace fairlead::actors
