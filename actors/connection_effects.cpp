#include <algorithm>
#include <cstdint>
#include <exception>
#include <utility>

#include "actors/companion.hpp"
#include "actors/connection_actor.hpp"
#include "protocol/defect.hpp"
#include "protocol/severity.hpp"

/// How a connection's actor carries out what its machine asks, and how it ends.
namespace fairlead::actors {

using protocol::connection_state;

namespace {

constexpr auto not_looked = SIZE_MAX;
// A closing handshake takes no longer than so many close_timeouts, however steadily the peer reads.
constexpr int most_close_timeouts = 12;

/// Why it ends, in the states that end it.
const close_info* close_info_of(const protocol::state& s) {
  return std::visit(
      [](const auto& in) -> const close_info* {
        if constexpr (requires { in.info; })
          return &in.info;
        else
          return nullptr;
      },
      s);
}

}  // namespace

template <class Function>
void connection_actor::guarded(const char* where, Function&& function) {
  try {
    function();
  } catch (const std::exception& e) {
    handler_threw(where, e.what());
  } catch (...) {
    handler_threw(where, "not a std::exception");
  }
}

void connection_actor::handler_threw(const char* where, std::string_view what) {
  record("handler_threw");
  const auto id = to_string(core_->id);
  env_.logger()(severity::error, "handler.threw", {{"id", id}, {"handler", where}, {"what", what}});
  ask_close(close_code::internal_error, "internal error", initiator::error);
}

void connection_actor::entered(connection_state before) {
  const auto now = kind_of(state_);
  --here_.by_state[static_cast<std::size_t>(before)];
  ++here_.by_state[static_cast<std::size_t>(now)];
  count_transition(before);
  entered_at_ = loop().now();
  const auto* info = close_info_of(state_);
  record(to_string(now).data(), info ? static_cast<std::uint64_t>(info->code) : 0);
  switch (now) {
  case connection_state::accepted: tell(here_.roster, request_admission{core_}); break;
  case connection_state::closing:
    await_end_of_close();
    link_->resume_reading();  // the peer's Close must be read, whatever waits to be handled
    break;
  default: break;
  }
  log_state(now);
}

/// The machine hears of its deadline later while the peer still takes what is queued before the Close. The first look is
/// half-way: what was on its way to the peer when closing began is no sign that it reads.
void connection_actor::await_end_of_close() {
  close_timer_ = std::make_unique<protocol::timer>([this, undelivered = not_looked]() mutable {
    if (!waits_on(undelivered)) tell(self(), link_report{protocol::deadline_passed{}});
  });
  loop().schedule(*close_timer_, entered_at_ + (deadline_of(state_) - entered_at_) / 2);
}

/// Whether the deadline is not due yet. `undelivered`: what was at the last look.
bool connection_actor::waits_on(std::size_t& undelivered) {
  const auto before = std::exchange(undelivered, link_->undelivered_bytes());
  if (before == not_looked) return loop().schedule(*close_timer_, deadline_of(state_)), true;
  const auto timeout = deadline_of(state_) - entered_at_;
  const auto last = entered_at_ + most_close_timeouts * timeout;
  if (undelivered >= before || loop().now() >= last) return false;
  loop().schedule(*close_timer_, std::min(loop().now() + timeout, last));
  return true;
}

/// For the metrics.
void connection_actor::count_transition(connection_state before) {
  const auto since = [this](protocol::time_point then) {
    return std::chrono::duration_cast<protocol::histogram::duration>(loop().now() - then);
  };
  const auto now = kind_of(state_);
  if (now == connection_state::open) {
    ++here_.tally.opened;
    const auto* const ticket = core_->ticket.get();
    here_.tally.admission.add(since(began_) +
                              (ticket ? ticket->waited : protocol::histogram::duration{0}));
  } else if (before == connection_state::closing) {
    here_.tally.closing.add(since(entered_at_));
  }
}

/// One line per state transition.
void connection_actor::log_state(connection_state now) {
  auto& log = env_.logger();
  const auto* info = close_info_of(state_);
  const bool over = now == connection_state::closed || now == connection_state::failed;
  const auto level = over ? protocol::severity_of(*info) : protocol::severity_of(now);
  if (!log.enabled(level)) return;
  const auto event = "connection." + std::string{to_string(now)};
  const auto id = to_string(core_->id);
  if (!info) {
    log(level, event, {{"id", id}, {"peer", core_->peer}, {"user", core_->user}});
    return;
  }
  log(level, event,
      {{"id", id},
       {"code", static_cast<std::uint64_t>(info->code)},
       {"reason", info->reason},
       {"initiator", to_string(info->by)},
       {"clean", info->clean},
       {"age_ms", static_cast<std::int64_t>(age().count())}});
}

void connection_actor::carry_out(protocol::announce_open&) {
  if (core_->of_session) {  // the session's: it is told, and nobody else
    announced_ = true;
    for (const auto& companion : companions_) tell(companion, companion_opened{core_});
    return link_->resume_reading();
  }
  const connection handle{core_};
  if (const auto& make = env_.options.per_connection) {
    guarded("per_connection", [&] {
      auto what = make(handle);
      if (!what) throw std::runtime_error{"per_connection returned null"};
      adopt(spawn_companion(shared_unit(), env_, here_, std::move(what)));
    });
    if (kind_of(state_) != connection_state::open) return;  // refused: nobody is to hear of it
  }
  announced_ = true;
  for (const auto& companion : companions_) tell(companion, companion_opened{core_});
  if (env_.options.on_open) guarded("on_open", [&] { env_.options.on_open(handle); });
  if (link_) link_->resume_reading();
}

void connection_actor::carry_out(protocol::write& e) {
  const auto frames = e.what.frames;
  const auto bytes = e.what.size;
  if (const auto* const terms = e.what.terms()) expires(terms->expires);
  if (const auto queued = link_->write(std::move(e.what)); queued > 0) {
    on_wire_.messages += frames;
    on_wire_.bytes += queued;
    to_flush_ = true;
    if (queued < bytes) {  // compressed: the rest of its room is free
      core_->settled(0, bytes - queued);
      apply(protocol::written{0, bytes - queued});
    }
    return;
  }
  // The second gate: the transport has answered the peer's Close, or it broke, and this actor has yet to hear of it.
  core_->settled(frames, bytes);
  refused(e.what, link_->broken() ? send_result::failed : send_result::closing);
  apply(protocol::written{frames, bytes});  // nothing of it is queued
}

void connection_actor::carry_out(protocol::make_room& e) {
  const auto* const terms = e.what.terms();
  if (terms && !terms->key.empty())
    took_back(link_->drop_key(*terms), send_result::overflow, protocol::limit_hit::replaced);
  const auto over = protocol::excess(state_, e.what, at_first_);
  if ((!core_->of_session || protocol::planted(protocol::defect::events_make_way)) &&
      (over.messages > 0 || over.bytes > 0)) {
    took_back(link_->drop_oldest(over), send_result::overflow, protocol::limit_hit::dropped_oldest);
    if (!overflowing_) note_overflow();
  }
  apply(protocol::send_again{std::move(e.what)});
}

void connection_actor::carry_out(protocol::send_close& e) {
  link_->send_close(e.code, e.reason);
  to_flush_ = true;
}

void connection_actor::carry_out(protocol::abort_link&) { link_->abort(); }

void connection_actor::carry_out(protocol::deliver& e) {
  ++counts_.messages_in;
  counts_.bytes_in += e.what.size();
  for (const auto& companion : companions_) {
    tell(companion, companion_received{core_, e.what});
    unhandled_ += weight_of(e.what);
  }
  if (unhandled_ >= env_.limits().max_unhandled_messages && !paused_) {
    paused_ = true;
    env_.count(protocol::limit_hit::unhandled_paused);
    link_->pause_reading();
  }
  if (env_.options.on_message && !core_->of_session)
    guarded("on_message", [&] { env_.options.on_message(connection{core_}, e.what); });
}

void connection_actor::carry_out(protocol::discard&) {
  ++counts_.messages_in;  // read, and nobody's any more
}

void connection_actor::carry_out(protocol::refuse& e) {
  core_->settled(e.what.frames, e.what.size);
  refused(e.what, e.why);
  if (e.why == send_result::expired) env_.count(protocol::limit_hit::expired, e.what.frames);
  // Had room when it was sent: others were in front of it that make way themselves.
  if (e.why == send_result::overflow) note_refusal(e.what);
}

void connection_actor::note_refusal(const protocol::chunk& what) {
  env_.count(protocol::limit_hit::overflow, what.frames);
  const auto* const terms = what.terms();
  const auto usual = core_->policy();
  if ((terms ? terms->policy.value_or(usual) : usual) == slow_policy::disconnect)
    close_slow("slow");
}

void connection_actor::refused(const protocol::chunk& what, send_result why) {
  counts_.outcomes[static_cast<std::size_t>(why)] += what.frames;
  if (what.asked) what.asked->settle(why);
  auto& log = env_.logger();
  if (const auto level = protocol::severity_of(why); log.enabled(level)) {
    const auto id = to_string(core_->id);
    log(level, "send.refused",
        {{"id", id}, {"outcome", to_string(why)}, {"messages", std::uint64_t{what.frames}}});
  }
}

void connection_actor::carry_out(protocol::answer_close& e) {
  if (last_close_) last_close_->result = e.result;
  record(to_string(e.result).data());
  if (e.result != close_result::initiated) log_refused_close(e.result);
  if (answering_) answering_->settle(e.result);
}

/// A close that was attempted and not begun. One that is begun is the line of the state it leads to.
void connection_actor::log_refused_close(close_result why) {
  auto& log = env_.logger();
  const auto level = protocol::severity_of(why);
  if (!log.enabled(level) || !last_close_) return;
  const auto id = to_string(core_->id);
  log(level, "close.refused",
      {{"id", id},
       {"outcome", to_string(why)},
       {"code", static_cast<std::uint64_t>(last_close_->code)},
       {"reason", last_close_->reason},
       {"initiator", to_string(last_close_->by)}});
}

void connection_actor::carry_out(protocol::report_closed& e) {
  const auto final_state = kind_of(state_);
  const auto met =
      final_state == connection_state::failed ? send_result::failed : send_result::closed;
  core_->ended_as(met);
  core_->settled(on_wire_.messages, on_wire_.bytes);
  // What is still accounted for lies in the mailbox, and goes with it.
  counts_.outcomes[static_cast<std::size_t>(met)] += core_->queued().messages();
  counts_.outcomes[static_cast<std::size_t>(send_result::failed)] += on_wire_.messages;
  on_wire_ = {};
  departed_ = true;
  tell(here_.roster, depart{{core_->id, core_->peer, core_->user, began_wall_,
                             env_.options.wall_clock(), final_state, e.reached, e.info, counts()}});
  if (announced_) {
    for (const auto& companion : companions_) tell(companion, companion_closed{core_, e.info});
    if (env_.options.on_close && !core_->of_session)
      guarded("on_close", [&] { env_.options.on_close(connection{core_}, e.info); });
  }
  quit();
}

void connection_actor::adopt(caf::strong_actor_ptr companion) {
  monitor(companion);
  companions_.push_back(std::move(companion));
}

void connection_actor::on_crash(std::string_view what) {
  const auto id = to_string(core_->id);
  env_.logger()(severity::error, "connection.crashed", {{"id", id}, {"what", what}});
}

void connection_actor::on_exit() {
  // Without this the actor was killed or broke: its end is reported all the same.
  if (!departed_) {
    link_->abort();
    apply(protocol::link_failed{{}, "internal error: its actor ended"});
  }
  --here_.by_state[static_cast<std::size_t>(kind_of(state_))];
  hold(0);
  close_timer_.reset();
  expiry_.reset();
  // A user's actor outlives many connections: the mark that each leaves on it would hold that connection's memory.
  for (const auto& companion : companions_) demonitor(caf::actor_cast<caf::actor>(companion));
  companions_.clear();
  link_.reset();
  core_.reset();  // it holds this actor
}

void connection_actor::record(const char* event, std::uint64_t detail) {
  events_.add({age(), event, detail});
}

std::chrono::milliseconds connection_actor::age() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(loop().now() - began_);
}

protocol::traffic connection_actor::counts_with(const detail::connection_core& core) const {
  auto all = counts_;
  all.outcomes[static_cast<std::size_t>(send_result::overflow)] += core.overflows();
  all.outcomes[static_cast<std::size_t>(send_result::too_large)] += core.too_large();
  all.outcomes[static_cast<std::size_t>(send_result::closing)] += core.too_late();
  all.outcomes[static_cast<std::size_t>(send_result::accepted)] += core.too_early();
  return all;
}

protocol::connection_snapshot connection_actor::snapshot() {
  const auto now = loop().now();
  protocol::connection_snapshot s;
  s.id = core_->id;
  s.state = kind_of(state_);
  s.began = began_wall_;
  s.in_state = std::chrono::duration_cast<std::chrono::milliseconds>(now - entered_at_);
  s.peer = core_->peer;
  s.user = core_->user;
  s.target = core_->target;
  if (core_->ticket) {
    s.metadata = core_->ticket->metadata;
    s.expires_at = core_->ticket->expires_at;
  }
  s.tls = link_->tls();
  s.compresses = link_->compresses();
  s.mailbox = mailbox_size();
  s.queued_messages = core_->queued().messages();
  s.queued_bytes = core_->queued().bytes();
  s.wire_bytes = link_->queued_bytes();
  s.max_queued_messages = at_first_.max_queued_messages;
  s.max_queued_bytes = at_first_.max_queued_bytes;
  s.slow_consumers = core_->policy();
  s.unhandled_messages = unhandled_;
  s.lagging = paused_ && s.state == connection_state::open;
  s.counts = counts();
  const auto peer = link_->peer();
  // Before the peer's first byte: since there is a connection.
  s.silent = std::chrono::duration_cast<std::chrono::milliseconds>(
      now - std::max(peer.last_heard, began_));
  s.awaits_pong = peer.awaits_pong;
  s.throttled = peer.throttled;
  s.round_trip = peer.round_trip;
  if (last_close_) s.last_close = *last_close_;
  s.events = events_.in_order();
  return s;
}

}  // namespace fairlead::actors
