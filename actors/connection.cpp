#include <fairlead/caf/actors.hpp>
#include <fairlead/connection.hpp>

#include "actors/connection_actor.hpp"
#include "actors/connection_core.hpp"
#include "actors/messages.hpp"
#include "protocol/frame.hpp"

namespace fairlead {

namespace detail {

namespace {

/// A message that no empty queue could hold is too large, not too many.
std::size_t largest_frame(const limits& l) {
  if (l.max_send_size >= l.max_queued_bytes) return l.max_queued_bytes;
  const auto frame = l.max_send_size + protocol::frame_header_size(l.max_send_size);
  return std::min(frame, l.max_queued_bytes);
}

}  // namespace

connection_core::connection_core(connection_id i, std::string p, std::string u, std::string t,
                                 const limits& l)
    : id(i),
      peer(std::move(p)),
      user(std::move(u)),
      target(std::move(t)),
      max_frame_(largest_frame(l)),
      max_bytes_(l.max_queued_bytes),
      max_messages_(l.max_queued_messages) {}

send_result connection_core::no_room(std::uint32_t frames) const {
  // An account that an actor left full behind is no overflow: say how that connection ended.
  if (const auto how = ended(); how != send_result::written) return how;
  overflows_.fetch_add(frames, std::memory_order_relaxed);
  if (!overflowing_.exchange(true, std::memory_order_relaxed))
    actors::tell(actor, actors::overflowed{});
  return send_result::overflow;
}

void connection_core::over_size(std::size_t bytes) const {
  // A bug of the caller's, told once: its log line must not cost what the limit is there to save.
  if (too_large_.fetch_add(1, std::memory_order_relaxed) == 0)
    actors::tell(actor, actors::oversized{bytes});
}

void connection_core::send(protocol::chunk what) const {
  auto refused = send_result::too_large;
  if (what.size > max_frame_)
    over_size(what.size);
  else if (try_admit(what.frames, what.size))
    return enqueue(std::move(what));
  else
    refused = no_room(what.frames);
  if (what.asked) what.asked->settle(refused);
}

void connection_core::enqueue(protocol::chunk what) const {
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

void connection::send(message what) const {
  if (core_) core_->send(protocol::as_chunk(what));
}

void connection::send(message what, send_callback done) const {
  auto receipt = std::make_shared<actors::send_receipt>(std::move(done), core_);
  if (!core_) return receipt->settle(send_result::no_such_connection);
  core_->send(protocol::as_chunk(what, std::move(receipt)));
}

std::future<send_result> connection::send_reported(message what) const {
  return ask<send_result>([&](send_callback done) { send(std::move(what), std::move(done)); });
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
