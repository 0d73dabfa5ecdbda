#include <fairlead/caf/actors.hpp>
#include <fairlead/connection.hpp>

#include "actors/connection_actor.hpp"
#include "actors/connection_core.hpp"
#include "actors/messages.hpp"
#include "protocol/defect.hpp"
#include "protocol/frame.hpp"
#include "protocol/severity.hpp"

namespace fairlead {

namespace detail {

connection_core::connection_core(connection_id i, std::string p, std::string u, std::string t,
                                 const limits& l, std::shared_ptr<protocol::limit_hits> hits,
                                 std::shared_ptr<actors::unmet_sends> unmet)
    : id(i),
      peer(std::move(p)),
      user(std::move(u)),
      target(std::move(t)),
      max_frame_(protocol::largest_frame(l)),
      max_bytes_(l.max_queued_bytes),
      max_messages_(l.max_queued_messages),
      policy_(l.slow_consumers),
      hits_(std::move(hits)),
      unmet_(std::move(unmet)) {}

/// Why it was not simply counted, or what the policy makes of it. `written`: others will make way for it, and it was counted.
send_result connection_core::why_not(const protocol::chunk& what) const {
  const bool sealed = queued_.sealed();  // first: then the end that put the seal on is seen
  if (const auto how = ended(); how != send_result::written) return met_nobody(what, how);
  if (what.size > max_frame_) return over_size(what.size);
  if (sealed) {
    too_late_.fetch_add(what.frames, std::memory_order_relaxed);
    return send_result::closing;
  }
  if (!takes_from_all()) {
    too_early_.fetch_add(what.frames, std::memory_order_relaxed);
    return send_result::accepted;
  }
  const auto* const terms = what.terms();
  const auto policy = terms ? terms->policy.value_or(policy_) : policy_;
  // The actor drops what they are to replace when it gets there. Until then one more queue may lie in the mailbox.
  // Nothing makes way for what is not a session's: a gap in its events would go unnoticed.
  const bool fixed = of_session && !protocol::planted(protocol::defect::events_make_way);
  if (!fixed && (policy == slow_policy::drop_oldest || policy == slow_policy::keep_latest) &&
      queued_.try_add(what.frames, what.size, 2 * max_messages_, 2 * max_bytes_))
    return send_result::written;
  overflow(what.frames, policy == slow_policy::disconnect);
  return send_result::overflow;
}

/// No actor is there to count and log it.
send_result connection_core::met_nobody(const protocol::chunk& what, send_result how) const {
  auto& counted = how == send_result::failed ? unmet_->failed : unmet_->closed;
  counted.fetch_add(what.frames, std::memory_order_relaxed);
  auto& log = *unmet_->logger;
  if (const auto level = protocol::severity_of(how); log.enabled(level)) {
    const auto text = to_string(id);
    log(level, "send.refused",
        {{"id", text}, {"outcome", to_string(how)}, {"messages", std::uint64_t{what.frames}}});
  }
  return how;
}

void connection_core::overflow(std::uint32_t frames, bool close) const {
  overflows_.fetch_add(frames, std::memory_order_relaxed);
  hits_->add(protocol::limit_hit::overflow, frames);
  if (close) seal();
  const std::uint8_t news = close ? told_overflow | told_close : told_overflow;
  const auto before = told_.fetch_or(news, std::memory_order_relaxed);
  if ((news & ~before) != 0) actors::tell(actor, actors::overflowed{close});
}

send_result connection_core::over_size(std::size_t bytes) const {
  hits_->add(protocol::limit_hit::too_large);
  // A bug of the caller's, told once: its log line must not cost what the limit is there to save.
  if (too_large_.fetch_add(1, std::memory_order_relaxed) == 0)
    actors::tell(actor, actors::oversized{bytes});
  return send_result::too_large;
}

/// Counts it; or settles its receipt, and it is refused.
bool connection_core::let_in(const protocol::chunk& what) const {
  if (what.size <= max_frame_ && try_admit(what.frames, what.size)) return true;
  const auto refused = why_not(what);
  if (refused == send_result::written) return true;
  if (what.asked) what.asked->settle(refused);
  return false;
}

void connection_core::send(protocol::chunk what) const {
  if (let_in(what)) enqueue(std::move(what));
}

connection_core::offered connection_core::offer(protocol::chunk what) const {
  if (what.size > max_frame_ || !count(what.frames, what.size)) return offered::no_room;
  if (actors::actor_of(*this).take_now(what)) return offered::in_run;
  enqueue(std::move(what));
  return offered::queued;
}

connection_core::offered connection_core::greet(protocol::chunk what) const {
  const auto how = offer(std::move(what));
  // Behind it: who sees this has its own message enqueued later.
  if (how != offered::no_room) greeted_.store(true, std::memory_order_release);
  return how;
}

protocol::terms_ptr connection_core::terms_for(const send_options& how) const {
  if (protocol::ordinary(how)) return nullptr;
  return protocol::make_terms(how, actors::actor_of(*this).read_clock());
}

void connection_core::enqueue(protocol::chunk&& what) const {
  if (!actors::actor_of(*this).append_to_run(what))
    actors::tell(actor, actors::send_frames{std::move(what)});
}

void connection_core::close(close_code code, std::string reason, initiator by,
                            actors::close_sink_ptr asked) const {
  actors::tell(actor, actors::begin_close{code, std::move(reason), by, std::move(asked)});
}

}  // namespace detail

namespace {

const std::string nothing;

template <class Result, class Ask>
std::future<Result> ask(Ask&& with) {
  auto promise = std::make_shared<std::promise<Result>>();
  auto future = promise->get_future();
  with([promise](Result r) { promise->set_value(r); });
  return future;
}

}  // namespace

connection_id connection::id() const noexcept { return core_ ? core_->id : connection_id{}; }
const std::string& connection::user() const noexcept { return core_ ? core_->user : nothing; }
const std::string& connection::peer() const noexcept { return core_ ? core_->peer : nothing; }

const connection_metadata& connection::metadata() const noexcept {
  static const connection_metadata none;
  return core_ && core_->ticket ? core_->ticket->metadata : none;
}
std::optional<std::chrono::system_clock::time_point> connection::expires_at() const noexcept {
  if (!core_ || !core_->ticket) return std::nullopt;
  return core_->ticket->expires_at;
}

void connection::send(message what) const {
  if (core_) core_->send(protocol::as_chunk(what));
}

void connection::send(message what, send_callback done) const {
  auto receipt = std::make_shared<actors::send_receipt>(std::move(done), core_);
  if (!core_) return receipt->settle(send_result::no_such_connection);
  core_->send(protocol::as_chunk(what, std::move(receipt)));
}

void connection::send(message what, send_options how, send_callback done) const {
  auto terms = core_ ? core_->terms_for(how) : nullptr;
  if (!done && !terms) return send(std::move(what));
  auto receipt = std::make_shared<actors::send_receipt>(std::move(done), core_, std::move(terms));
  if (!core_) return receipt->settle(send_result::no_such_connection);
  core_->send(protocol::as_chunk(what, std::move(receipt)));
}

std::future<send_result> connection::send_reported(message what, send_options how) const {
  return ask<send_result>(
      [&](send_callback done) { send(std::move(what), std::move(how), std::move(done)); });
}

void connection::close(close_code code, std::string reason, close_callback done) const {
  auto asked = done ? std::make_shared<actors::close_sink>(std::move(done)) : nullptr;
  if (core_) return core_->close(code, std::move(reason), initiator::application, std::move(asked));
  if (asked) asked->settle(close_result::no_such_connection);
}

std::future<close_result> connection::close_reported(close_code code, std::string reason) const {
  return ask<close_result>(
      [&](close_callback done) { close(code, std::move(reason), std::move(done)); });
}

caf::actor actor_of(const connection& c) {
  return c.core() ? caf::actor_cast<caf::actor>(c.core()->actor) : caf::actor{};
}

}  // namespace fairlead
