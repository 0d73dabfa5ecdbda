#include "actors/connection_actor.hpp"

#include <algorithm>
#include <cstdint>
#include <exception>

#include "actors/companion.hpp"
#include "actors/queue_budget.hpp"
#include "actors/session_messages.hpp"
#include "protocol/loop_metrics.hpp"
#include "protocol/severity.hpp"

namespace fairlead::actors {

using protocol::connection_state;

connection_actor::connection_actor(caf::actor_config& config, std::shared_ptr<loop_unit> unit,
                                   environment& env, loop_context& here, const limits& at_first,
                                   core_ptr core, std::shared_ptr<protocol::link> link)
    : lean_actor(config, std::move(unit)),
      env_(env),
      here_(here),
      at_first_(at_first),
      core_(std::move(core)),
      link_(std::move(link)),
      began_(loop().now()),
      entered_at_(began_),
      began_wall_(env.options.wall_clock()) {
  ++here_.by_state[static_cast<std::size_t>(connection_state::connecting)];
  if (!core_->ticket || !core_->ticket->expires_at) return;
  close_timer_ = std::make_unique<protocol::timer>([this] { await_expiry(); });
  await_expiry();
}

connection_actor::~connection_actor() = default;

caf::behavior& connection_actor::handlers() {
  if (!here_.connection_handlers) here_.connection_handlers = make_handlers(unit());
  return here_.connection_handlers;
}

/// Shared by the connections of a loop, of which one runs at a time: hence no `this`.
caf::behavior connection_actor::make_handlers(loop_unit& unit) {
  const auto me = [&unit]() -> connection_actor& {
    return static_cast<connection_actor&>(*unit.current());
  };
  return {
      // The two of the hot path first: CAF tries them in order.
      [me](const send_frames& m) { me().on(m); },
      [me](link_message& m) { me().on(m); },
      [me](const link_progress& m) { me().took(m.what); },
      [me](handled m) { me().on(m); },
      [me](tell_of_room m) { me().on(m); },
      [me](read_on m) { me().on(m); },
      [me](link_report& m) { me().on(m); },
      [me](const admitted& m) { me().on(m); },
      [me](begin_close& m) { me().on(m); },
      [me](overflowed m) { me().on(m); },
      [me](oversized m) { me().on(m); },
      [me](expiry_due m) { me().on(m); },
      [me](limits_changed) {
        if (kind_of(me().state_) < connection_state::closing) me().await_expiry();
      },
      [me](drop_queue m) { me().on(m); },
      // From actors of the embedder's. Counted now: CAF's mailbox let them in unseen.
      [me](const send_message& m) { return me().on(m); },
      [me](close_connection& m) { return me().on(m); },
      [me](take_snapshot) { return me().snapshot(); },
      [me](abort_now m) { me().on(m); },
  };
}

void connection_actor::on(const send_frames& m) {
  if (here_.aborting && link_) on(abort_now{});  // not behind all that waits in the mailbox
  apply(protocol::send{m.what});
}

void connection_actor::on(link_report& m) {
  std::visit(
      [this]<class Event>(Event& event) {
        // The peer's side of a close that nobody here asked for. Its answer to ours is no attempt of its own.
        if constexpr (requires {
                        event.code;
                        event.reason;
                      })
          if (kind_of(state_) < connection_state::closing)
            note_attempt(event.code, event.reason,
                         std::is_same_v<Event, protocol::violated> ? initiator::violation
                                                                   : initiator::peer,
                         close_result::initiated);
        apply(std::move(event));
      },
      m.what);
}

void connection_actor::on(abort_now) {
  link_->abort();
  apply(protocol::link_failed{{}, "aborted at the shutdown's deadline"});
}

caf::result<send_result> connection_actor::on(const send_message& m) {
  auto promise = make_response_promise<send_result>();
  connection{core_}.send(m.what, m.how, [promise](send_result r) mutable { promise.deliver(r); });
  return promise;
}

caf::result<close_result> connection_actor::on(close_connection& m) {
  auto promise = make_response_promise<close_result>();
  connection{core_}.close(m.code, std::move(m.reason),
                          [promise](close_result r) mutable { promise.deliver(r); });
  return promise;
}

void connection_actor::pass(const send_frames& m, const caf::message& the_same) {
  if (!handle_now([&] { apply(protocol::send{m.what}); })) enqueue_shared(self(), the_same);
}

namespace {

class appending_scope {
 public:
  appending_scope(const connection_actor*& place, const connection_actor* actor) : place_(place) {
    place_ = actor;
  }
  ~appending_scope() { place_ = nullptr; }
  appending_scope(const appending_scope&) = delete;
  appending_scope& operator=(const appending_scope&) = delete;

 private:
  const connection_actor*& place_;
};

}  // namespace

void connection_actor::pass(link_message&& m) {
  const auto handle = [&] {
    here_.appended.clear();  // empty, unless a run broke off
    {
      const appending_scope scope{here_.appends_to, this};
      apply(protocol::received{std::move(m.what)});
    }
    for (auto& what : here_.appended) apply(protocol::send{std::move(what)});
    here_.appended.clear();
  };
  if (handle_now(handle)) return;
  // A Close behind it must not be answered, and the wire sealed, before what is said to this one.
  if (link_) link_->pause_reading();
  waits_ = true;
  tell(self(), std::move(m));
}

void connection_actor::on(link_message& m) {
  apply(protocol::received{std::move(m.what)});
  tell(self(), read_on{});
}

void connection_actor::on(read_on) {
  waits_ = false;
  if (!paused_) link_->resume_reading();
}

bool connection_actor::append_to_run(protocol::chunk& what) {
  // In this order: a mailbox that is closed is not blocked, and then the loop's context may be gone with the backbone.
  if (!loop().inside() || !idle() || here_.appends_to != this) return false;
  here_.appended.push_back(std::move(what));
  return true;
}

bool connection_actor::take_now(protocol::chunk& what) {
  return loop().inside() && begin_run([&] { apply(protocol::send{std::move(what)}); });
}

void connection_actor::after_run() {
  if (link_ && to_flush_) {
    to_flush_ = false;
    took(link_->flush());
  }
  if (on_wire_.bytes != held_) hold(on_wire_.bytes);
  if (wanted_room_ > 0) tell_session();
}

void connection_actor::on(tell_of_room m) {
  wanted_room_ = m.bytes;
  wanted_when_ = protocol::settled(counts_) + core_->queued().messages();
}

/// Not with each message that leaves: when all have left that were queued when it asked.
void connection_actor::tell_session() {
  if (protocol::settled(counts_) < wanted_when_ || !core_->has_room_for(wanted_room_)) return;
  wanted_room_ = 0;
  for (const auto& session : companions_) tell(session, send_more{core_->id});
}

/// The kernel did not take everything at once, or has now.
void connection_actor::hold(std::size_t bytes) {
  if (held_ == gives_up) return;
  here_.queued.change(held_, bytes);
  held_ = bytes;
  look_at_budget(env_, here_);
}

void connection_actor::shed() {
  hold(0);
  held_ = gives_up;
  core_->seal();
  tell(self(), drop_queue{});
}

void connection_actor::on(drop_queue) {
  env_.count(protocol::limit_hit::queue_budget);
  took_back(link_->drop_oldest({UINT32_MAX, SIZE_MAX}), send_result::overflow,
            protocol::limit_hit::overflow);
  close_slow("slow, and the server's queues are full");
}

void connection_actor::took(protocol::progress p) {
  if (p.messages == 0 && p.bytes == 0) return;
  on_wire_.messages -= p.messages;
  on_wire_.bytes -= p.bytes;
  core_->settled(p.messages, p.bytes);
  counts_.outcomes[static_cast<std::size_t>(send_result::written)] += p.messages;
  counts_.bytes_written += p.bytes;
  if (overflowing_ && core_->calm()) end_overflow();
  apply(protocol::written{p.messages, p.bytes});
}

/// What was queued and will not be written.
void connection_actor::took_back(protocol::progress p, send_result why, protocol::limit_hit hit) {
  if (p.messages == 0) return;
  on_wire_.messages -= p.messages;
  on_wire_.bytes -= p.bytes;
  core_->settled(p.messages, p.bytes);
  counts_.outcomes[static_cast<std::size_t>(why)] += p.messages;
  env_.count(hit, p.messages);
  apply(protocol::written{p.messages, p.bytes});
}

/// Something that expires is queued. What is written in time lets the timer run in vain, once.
void connection_actor::expires(protocol::time_point when) {
  if (when == protocol::time_point::max()) return;
  if (!expiry_) expiry_ = std::make_unique<expiry>([this] { tell(self(), expiry_due{}); });
  if (when >= expiry_->at) return;
  expiry_->at = when;
  loop().schedule(expiry_->timer, when);
}

void connection_actor::on(expiry_due) {
  auto next = protocol::time_point::max();
  expiry_->at = next;
  const auto gone = link_->drop_expired(loop().now(), next);
  expires(next);
  took_back(gone, send_result::expired, protocol::limit_hit::expired);
}

/// Closes when the admission has expired and the grace is over. By the wall clock, which somebody may set: so an end that is
/// far off is looked at again.
void connection_actor::await_expiry() {
  constexpr std::chrono::hours far{1};
  const auto left =
      std::max(*core_->ticket->expires_at, protocol::wall_time{}) - env_.options.wall_clock();
  const auto wait = left > far ? far : left + env_.limits().expiry_grace;
  if (wait > wait.zero()) return loop().schedule(*close_timer_, loop().now() + wait);
  env_.count(protocol::limit_hit::admission_expired);
  tell(self(), begin_close{close_code::unauthorized, "expired", initiator::limit, {}});
}

void connection_actor::close_slow(std::string reason) {
  core_->seal();
  if (kind_of(state_) >= connection_state::closing) return;
  env_.count(protocol::limit_hit::slow_close);
  ask_close(close_code::slow_consumer, std::move(reason), initiator::limit);
}

void connection_actor::on(begin_close& m) {
  ask_close(m.code, std::move(m.reason), m.by, std::move(m.asked));
}

void connection_actor::ask_close(close_code code, std::string reason, initiator by,
                                 close_sink_ptr asked) {
  note_attempt(code, reason, by, close_result::already_closed);
  answering_ = std::move(asked);
  if (transport_ends()) {
    protocol::answer_close met{link_->broken() ? close_result::already_closed
                                               : close_result::already_closing};
    carry_out(met);
  } else {
    apply(protocol::ask_close{code, std::move(reason), by});
  }
  answering_.reset();
}

/// The second gate again: the transport has answered the peer's Close, or it broke, and this actor has yet to hear of it.
/// A Close of ours would not be written, so it must not be what is told of this connection's end.
bool connection_actor::transport_ends() const {
  const auto now = kind_of(state_);
  return now <= connection_state::open && link_->sealed();
}

void connection_actor::note_attempt(close_code code, const std::string& reason, initiator by,
                                    close_result result) {
  last_close_ = std::make_unique<protocol::close_attempt>(
      protocol::close_attempt{code, reason, by, result, age()});
}

void connection_actor::on(const admitted& m) {
  if (m.user_companion) adopt(m.user_companion);
  apply(protocol::admitted{});
}

void connection_actor::on(handled m) {
  unhandled_ -= std::min(unhandled_, m.weight);
  if (!paused_ || unhandled_ > env_.limits().max_unhandled_messages / 2) return;
  paused_ = false;
  if (!waits_) link_->resume_reading();
}

void connection_actor::on(overflowed m) {
  if (!overflowing_) note_overflow();
  if (m.close) close_slow("slow");
}

void connection_actor::note_overflow() {
  overflowing_ = true;
  record("overflow", core_->overflows());
  const auto id = to_string(core_->id);
  env_.logger()(protocol::severity_of(send_result::overflow), "send.overflow",
                {{"id", id},
                 {"queued_messages", std::uint64_t{core_->queued().messages()}},
                 {"queued_bytes", std::uint64_t{core_->queued().bytes()}}});
  if (core_->calm()) end_overflow();  // by now it was the mailbox alone
}

void connection_actor::end_overflow() {
  overflowing_ = false;
  core_->overflow_over();
  record("overflow_over", core_->overflows());
}

void connection_actor::on(oversized m) {
  record("too_large", m.bytes);
  const auto id = to_string(core_->id);
  env_.logger()(protocol::severity_of(send_result::too_large), "send.too_large",
                {{"id", id}, {"bytes", std::uint64_t{m.bytes}}});
}

void connection_actor::on_down(const caf::down_msg& down) {
  const auto gone = std::find_if(companions_.begin(), companions_.end(),
                                 [&](const auto& c) { return c && c->address() == down.source; });
  if (gone == companions_.end()) return;
  companions_.erase(gone);
  // A session that had not heard of this socket yet; to those that it knows it has said goodbye itself.
  if (core_->of_session)
    return ask_close(close_code::session_ended, "the session has ended", initiator::application);
  ask_close(close_code::internal_error, "internal error", initiator::error);
}

}  // namespace fairlead::actors
