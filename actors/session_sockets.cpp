#include <algorithm>
#include <utility>

#include "actors/session_actor.hpp"
#include "protocol/defect.hpp"
#include "protocol/session_frames.hpp"

/// What passes between a session and its sockets: who attaches, what is emitted to them, what they send.
namespace fairlead::actors {

namespace machine = protocol::sessions;
using protocol::defect;
using protocol::planted;

namespace {

constexpr std::size_t most_waiters = 1'024, most_readers = 16, most_keys = 256;

}  // namespace

// --- sockets --------------------------------------------------------------------------------------------------------

session_actor::socket* session_actor::find(connection_id id) {
  const auto found =
      std::ranges::find_if(sockets_, [&](const socket& s) { return s.who->id == id; });
  return found == sockets_.end() ? nullptr : &*found;
}

/// The socket that was given this token.
session_actor::socket* session_actor::holder_of(const std::string& token) {
  const auto found = std::ranges::find(sockets_, tokens_.number_of(token), &socket::token);
  return found == sockets_.end() ? nullptr : &*found;
}

void session_actor::turn_away(const core_ptr& who, close_code code, std::string reason,
                              attach_outcome why) {
  bump(counts().attaches[static_cast<std::size_t>(why)]);
  record("turned_away", static_cast<std::uint64_t>(code));
  const auto id = to_string(who->id);
  env_.logger()(severity::info, "session.turned_away",
                {{"session", core_->id}, {"id", id}, {"why", to_string(why)}});
  who->close(code, std::move(reason), initiator::application, {});
}

void session_actor::on(const ask_to_attach& m) {
  const auto asks = m.ticket->take();
  const auto& who = *asks;
  if (!tokens_.good(who.attach->token, loop().now()))
    return turn_away(asks, close_code::session_token, "the resume token is wrong or has expired",
                     attach_outcome::bad_token);
  if (!core_->user.empty() && !who.user.empty() && who.user != core_->user)
    return turn_away(asks, close_code::session_token, "the session is another user's",
                     attach_outcome::wrong_user);
  attaching_ = &asks;
  apply(machine::ask_attach{holder_of(who.attach->token) != nullptr});
  attaching_ = nullptr;
}

void session_actor::carry_out(const machine::let_in&) {
  tell(env_.loops[(*attaching_)->id.loop].roster, user_attached{*attaching_, self()});
}

void session_actor::carry_out(const machine::turn_away& e) {
  turn_away(*attaching_, e.code, e.reason,
            e.code == close_code::session_full ? attach_outcome::full : attach_outcome::ended);
}

void session_actor::on(const companion_opened& m) {
  attaching_ = &m.who;
  apply(machine::socket_attached{holder_of(m.who->attach->token) != nullptr});
  attaching_ = nullptr;
}

void session_actor::carry_out(const machine::catch_up& e) {
  const auto who = *attaching_;
  const auto now = loop().now();
  const auto take_over = [this](const socket& s) {
    dismiss(s.who, {close_code::session_taken_over, "another socket has attached",
                    initiator::application, false});
  };
  while (e.takes_over && !sockets_.empty()) take_over(sockets_.front());
  if (const auto* const before = e.replaces ? holder_of(who->attach->token) : nullptr)
    take_over(*before);
  if (const auto* const over = std::get_if<machine::ended>(&state_))  // a behaviour threw
    return turn_away(who, close_code::session_ended, over->info.reason, attach_outcome::ended);
  trim_stream();
  const auto& wants = *who->attach;
  const auto all_fit = [&] {
    return stream_.largest_after(wants.after) <= who->max_frame() || planted(defect::large_skipped);
  };
  const bool recovered = (stream_.can_recover(wants.after, wants.epoch) && all_fit()) ||
                         planted(defect::blind_to_gaps);
  auto token = env_.options.make_token();
  const auto held = tokens_.rotate(wants.token, token, now);
  const auto missed = recovered ? stream_.top() - wants.after : 0;
  const auto outcome = !recovered        ? attach_outcome::gap
                       : resumes_++ == 0 ? attach_outcome::first
                                         : attach_outcome::recovered;
  bump(counts().attaches[static_cast<std::size_t>(outcome)]);
  bump(counts().replayed, missed);
  replayed_ += missed;
  record(to_string(outcome).data(), wants.after);
  const auto id = to_string(who->id);
  env_.logger()(severity::info, "session.socket_attached",
                {{"session", core_->id},
                 {"id", id},
                 {"outcome", to_string(outcome)},
                 {"after", wants.after},
                 {"offset", stream_.top()}});
  auto next = recovered ? wants.after + 1 : stream_.top() + 1;
  if (planted(defect::event_twice) && wants.after > 0) --next;
  if (planted(defect::blind_to_gaps)) next = std::max(next, stream_.first());
  sockets_.push_back({who, next, held});
  who->attach.reset();  // it is of no more use
  const bool greeted = greet(sockets_.back(), recovered, token);
  if (greeted) pump(sockets_.back());
  drop_hopeless();
  guarded("on_attach", [&] { behavior_->on_attach(handle(), connection{who}); });
  if (!greeted && !who->gone())
    dismiss(who, {close_code::internal_error, "the server's limits leave no room for a session",
                  initiator::error, false});
}

bool session_actor::greet(socket& s, bool recovered, const std::string& token) {
  const auto notice =
      protocol::encode_attached({core_->id, recovered, stream_.epoch(), stream_.top(), token});
  return taken(s, s.who->greet(protocol::as_chunk(notice, core_->type->silent)));
}

void session_actor::on(const companion_closed& m) { let_go(m.who->id, m.info); }

/// Closes a socket of its own, which counts as gone at once.
void session_actor::dismiss(core_ptr who, const close_info& why) {
  who->close(why.code, why.reason, why.by, {});
  let_go(who->id, why);
}

void session_actor::let_go(connection_id id, const close_info& why) {
  auto* const s = find(id);
  if (!s) return;
  const auto who = s->who;
  tokens_.release(s->token, loop().now());
  sockets_.erase(sockets_.begin() + (s - sockets_.data()));
  apply(machine::socket_detached{});
  record("socket_detached", static_cast<std::uint64_t>(why.code));
  guarded("on_detach", [&] { behavior_->on_detach(handle(), connection{who}, why); });
}

// --- events ---------------------------------------------------------------------------------------------------------

std::uint64_t session_actor::offset_of(const std::string& key) const {
  const auto found = std::ranges::find(keys_, key, &std::pair<std::string, std::uint64_t>::first);
  return found == keys_.end() ? 0 : found->second;
}

void session_actor::on(emit_event& m) {
  core_->handled(m.data.size() + protocol::event_overhead);
  if (core_->is_cut()) end_at_shutdown();
  emitting_ = &m;
  apply(machine::emit{});
  emitting_ = nullptr;
}

void session_actor::carry_out(const machine::refuse_emit& e) {
  bump(counts().refused[static_cast<std::size_t>(e.why)]);
  if (emitting_->asked) emitting_->asked->answer({e.why});
}

void session_actor::carry_out(const machine::append&) {
  auto& m = *emitting_;
  const bool waits = m.ack_timeout.count() > 0;
  const auto before = m.key.empty() ? 0 : offset_of(m.key);
  if (before > 0 && (!waits || acked_ >= before)) {
    if (m.asked) m.asked->answer({waits ? emit_result::acked : emit_result::kept, before, true});
    return;
  }
  if (waits && waiters_.size() >= most_waiters)
    return carry_out(machine::refuse_emit{emit_result::overflow});
  const auto now = loop().now();
  if (before > 0) {  // its sender asks again, because no answer came or it was `unacked`
    m.asked->appended(before, emit_result::unacked, true);
    return wait_for_ack({before, now + m.ack_timeout, std::move(m.asked)});
  }
  const auto offset = keep(m, now);
  if (offset == 0) return carry_out(machine::refuse_emit{emit_result::overflow});
  bump(counts().emitted);
  if (!m.key.empty()) {
    if (keys_.size() < most_keys)
      keys_.emplace_back(std::move(m.key), offset);
    else
      keys_[next_key_++ % most_keys] = {std::move(m.key), offset};
  }
  if (m.asked) m.asked->appended(offset, waits ? emit_result::unacked : emit_result::kept);
  send_last(waits ? nullptr : m.asked);
  if (waits) wait_for_ack({offset, now + m.ack_timeout, std::move(m.asked)});
}

/// The offset that it gets; 0, and nothing has changed, if the other sessions' streams leave no room for it.
std::uint64_t session_actor::keep(const emit_event& m, protocol::time_point now) {
  auto event = protocol::encode_event(core_->id, stream_.top() + 1, m.type, m.data,
                                      env_.options.wall_clock());
  const auto room = env_.streams.room(env_.limits().max_total_stream_bytes, counted_);
  if (event.frame().size() > room) {
    env_.count(protocol::limit_hit::stream_budget_refused);
    return 0;
  }
  const auto offset = stream_.append(std::move(event), now);
  // Behind the stream's own bounds, which may have made room enough.
  if (const auto early = stream_.shrink(room); early > 0)
    env_.count(protocol::limit_hit::stream_budget_dropped, early);
  count_kept();
  return offset;
}

void session_actor::trim_stream() {
  stream_.trim(loop().now());
  count_kept();
}

/// After each change of what the stream keeps.
void session_actor::count_kept() {
  env_.streams.change(std::exchange(counted_, stream_.bytes()), stream_.bytes());
}

void session_actor::wait_for_ack(waiter w) {
  const auto place = std::ranges::upper_bound(waiters_, w.offset, {}, &waiter::offset);
  waiters_.insert(place, std::move(w));
}

/// To every socket that is not behind.
void session_actor::send_last(const emit_receipt_ptr& asked) {
  bool any_hopeless = false;
  for (auto& s : sockets_) {
    if (!s.lagging && (!s.who->calm() || !send_one(s, asked))) falls_behind(s);
    any_hopeless |= hopeless(s);
  }
  if (any_hopeless) drop_hopeless();
}

/// False, and its place is what it was, if that is not kept any more or there is no room for it now.
bool session_actor::send_one(socket& s, protocol::receipt asked) {
  const auto* const what = stream_.at(s.next);
  if (!what) return false;
  const bool skipped = planted(defect::large_skipped) && what->frame().size() > s.who->max_frame();
  if (!skipped && !offer(s, *what, std::move(asked))) return false;
  ++s.next;
  return true;
}

bool session_actor::offer(socket& s, const message& what, protocol::receipt asked) {
  // A gap must not go unnoticed: whatever the server does with slow consumers, this one is closed, and comes back.
  if (!asked && s.who->policy() != slow_policy::disconnect) asked = core_->type->silent;
  return taken(s, s.who->offer(protocol::as_chunk(what, std::move(asked))));
}

bool session_actor::taken(socket& s, detail::connection_core::offered how) {
  using offered = detail::connection_core::offered;
  s.unwritten |= how == offered::in_run;
  return how != offered::no_room;
}

/// Sends what the stream has for it, one at least if there is room, until its queue is half full.
void session_actor::pump(socket& s) {
  while (s.next <= stream_.top() && send_one(s, {}) && s.who->calm()) {
  }
  s.lagging = false;
  if (s.next <= stream_.top()) falls_behind(s);
}

/// The rest waits in the stream until the connection tells that what it has queued has gone.
void session_actor::falls_behind(socket& s) {
  s.lagging = true;
  if (planted(defect::event_skipped) && s.next < stream_.top()) ++s.next;
  if (const auto* const next = next_for(s))  // else it is dropped by who called
    tell(s.who->actor, tell_of_room{static_cast<std::uint32_t>(next->frame().size())});
}

void session_actor::on(send_more m) {
  if (planted(defect::sleeping_socket)) return;
  if (auto* const s = find(m.to)) pump(*s);
  drop_hopeless();
}

/// Null: it would have a gap, since the stream does not go back far enough for it, or what comes next is larger than it takes.
const message* session_actor::next_for(const socket& s) const {
  const auto* const next = stream_.at(s.next);
  return next && next->frame().size() <= s.who->max_frame() ? next : nullptr;
}

/// Not one that has gone: what it said before is on its way, and then the word of its end.
bool session_actor::hopeless(const socket& s) const {
  return s.lagging && !s.who->gone() && !next_for(s);
}

/// They may come back and be told so; or, where limits have been raised meanwhile, have no gap.
void session_actor::drop_hopeless() {
  const auto gone = [&](const socket& s) { return hopeless(s); };
  for (auto at = std::ranges::find_if(sockets_, gone); at != sockets_.end();
       at = std::ranges::find_if(sockets_, gone)) {
    dismiss(at->who, at->next < stream_.first() ? too_slow() : too_large());
  }
}

close_info session_actor::too_large() {
  env_.count(protocol::limit_hit::too_large);
  return {close_code::slow_consumer, "the next event is larger than this socket's queue takes",
          initiator::limit, false};
}

close_info session_actor::too_slow() {
  env_.count(protocol::limit_hit::slow_close);
  return {close_code::slow_consumer, "slow: the session does not keep what it missed",
          initiator::limit, false};
}

/// There will be no later: all that the stream has for it, within the bounds of its queue. False if that leaves a gap.
bool session_actor::send_rest(socket& s) {
  while (s.next <= stream_.top())
    if (!send_one(s, {})) return s.who->gone();
  return true;
}

void session_actor::acked(std::uint64_t offset) {
  if (offset > stream_.top() || offset <= acked_) return;  // nonsense, or known
  acked_ = offset;
  bump(counts().acks);
  const auto behind = planted(defect::eager_acks)
                          ? waiters_.end()
                          : std::ranges::upper_bound(waiters_, offset, {}, &waiter::offset);
  for (auto w = waiters_.begin(); w != behind; ++w)
    if (w->asked) w->asked->came_to(emit_result::acked);
  waiters_.erase(waiters_.begin(), behind);
}

// --- what clients send ----------------------------------------------------------------------------------------------

void session_actor::on(const companion_received& m) {
  auto* const s = find(m.who->id);
  if (!s) return;
  if (const auto offset =
          m.what.kind() == message_kind::text ? protocol::parse_ack(m.what.view()) : std::nullopt) {
    s->handled += weight_of(m.what);
    return acked(*offset);
  }
  ++received_;
  bump(counts().received);
  if (!core_->type->what.behavior) return into_inbox(*s, m.what);
  s->handled += weight_of(m.what);
  guarded("on_message", [&] { behavior_->on_message(handle(), connection{m.who}, m.what); });
}

bool session_actor::inbox_full() const {
  return inbox_->size() >= options().max_inbox || inbox_->bytes() >= options().max_bytes;
}

void session_actor::into_inbox(socket& s, const message& what) {
  if (!inbox_)
    inbox_ = std::make_unique<protocol::stream>(
        std::string{}, protocol::stream_limits{SIZE_MAX, SIZE_MAX, std::chrono::hours{24 * 365}});
  if (inbox_overflows()) {
    env_.count(protocol::limit_hit::inbox_overflow);
    return s.who->close(close_code::try_again_later, "the session's owner does not read",
                        initiator::limit, {});
  }
  inbox_->append(what, loop().now());
  (inbox_full() ? s.withheld : s.handled) += weight_of(what);
  answer_readers();
}

/// A socket is not read any more when too much of its is withheld. So this is met by none of those that are there, but by one
/// that comes again and again, and sends as much each time.
bool session_actor::inbox_overflows() const {
  const auto& bounds = env_.limits();
  const auto messages = sockets_.size() * bounds.max_unhandled_messages;
  const auto bytes = messages * most_bytes_of_weight_1 + sockets_.size() * bounds.max_message_size;
  return inbox_->size() >= options().max_inbox + messages ||
         inbox_->bytes() >= options().max_bytes + bytes;
}

void session_actor::on(read_inbox& m) {
  const auto last = inbox_ ? inbox_->top() : 0;
  if (m.after > last || (!m.epoch.empty() && m.epoch != stream_.epoch())) {
    inbox_page page{.found = true, .epoch = stream_.epoch(), .another = true, .last = last};
    return m.asked->answer(std::move(page));
  }
  if (inbox_) {
    inbox_->drop_until(m.after);
    if (!inbox_full())
      for (auto& s : sockets_) s.handled += std::exchange(s.withheld, 0);
  }
  if (m.wait.count() <= 0 || (inbox_ && inbox_->top() > m.after && inbox_->size() > 0))
    return answer(m);
  if (readers_.size() >= most_readers) {
    answer(readers_.front().what);
    readers_.erase(readers_.begin());
  }
  readers_.push_back({loop().now() + m.wait, std::move(m)});
}

void session_actor::answer_readers() {
  for (const auto& r : std::exchange(readers_, {})) answer(r.what);
}

void session_actor::answer(const read_inbox& m) {
  inbox_page page{.found = true, .epoch = stream_.epoch()};
  if (inbox_) {
    page.last = inbox_->top();
    for (auto at = std::max(m.after + 1, inbox_->first());
         at <= inbox_->top() && page.messages.size() < m.limit; ++at)
      page.messages.push_back({at, *inbox_->at(at)});
  }
  m.asked->answer(std::move(page));
}

}  // namespace fairlead::actors
