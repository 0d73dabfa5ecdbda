#include <algorithm>

#include <fairlead/session.hpp>

#include "actors/receipts.hpp"
#include "actors/session_actor.hpp"
#include "protocol/defect.hpp"
#include "protocol/frame.hpp"
#include "protocol/session_frames.hpp"
#include "protocol/time.hpp"

namespace fairlead {

namespace actors {

std::string_view to_string(attach_outcome o) noexcept {
  static constexpr std::array<std::string_view, attach_outcome_count> names{
      "first", "recovered", "gap", "bad_token", "wrong_user", "full", "ended"};
  return names[static_cast<std::size_t>(o)];
}

void emit_receipt::answer(const emit_report& r) noexcept {
  if (protocol::planted(protocol::defect::double_answer)) {
    auto again = done_;
    call_back(again, r);
  }
  if (!answered_.exchange(true)) call_back(done_, r);
}

inbox_sink::~inbox_sink() { call_back(done_, inbox_page{.found = true, .ended = true}); }

end_receipt::~end_receipt() { call_back(done_, who_->why_ended()); }
watch_sink::~watch_sink() { tell(session_state::ended, who_->why_ended()); }

void watch_sink::tell(session_state s, const session_end& why) const noexcept {
  auto again = told_;
  call_back(again, s, why);
}

void inbox_sink::answer(inbox_page page) noexcept { call_back(done_, std::move(page)); }

}  // namespace actors

namespace detail {

session_core::session_core(std::shared_ptr<const actors::registered_type> t, spawn_options&& o)
    : type(std::move(t)),
      id(std::move(o.id)),
      user(std::move(o.user)),
      arguments(std::move(o.arguments)),
      metadata(std::move(o.metadata)),
      options(o.options ? std::move(o.options) : type->options) {}

session_core::event_bound session_core::largest_event() const {
  const auto& bounds = type->bounds->get();
  event_bound least{options->max_bytes, "max_bytes"};
  if (bounds.max_queued_bytes < least.bytes) least = {bounds.max_queued_bytes, "max_queued_bytes"};
  if (const auto frame = protocol::largest_frame(bounds); frame < least.bytes)
    least = {frame, "max_send_size"};
  return least;
}

void session_core::emit(std::string_view name, std::string data, emit_options how,
                        emit_callback done) const {
  auto asked = done || how.acked
                   ? std::make_shared<actors::emit_receipt>(std::move(done), type->without_gaps)
                   : nullptr;
  const auto refuse = [&](emit_result why) {
    actors::bump(type->counts.refused[static_cast<std::size_t>(why)]);
    if (asked) asked->answer({why});
  };
  const auto size = data.size() + protocol::event_overhead;
  if (state() == session_state::ended || is_ending()) return refuse(emit_result::ended);
  if (size > largest_event().bytes) return refuse(emit_result::too_large);
  if (!protocol::valid_name(name) || how.key.size() > 128 || !type->valid_json(data))
    return refuse(emit_result::invalid_data);
  const auto& bounds = type->bounds->get();
  if (!waiting_.try_add(1, size, bounds.max_queued_messages, bounds.max_queued_bytes))
    return refuse(emit_result::overflow);
  using std::chrono::milliseconds;
  const auto timeout = how.acked
                           ? std::clamp(how.ack_timeout, milliseconds{1}, protocol::longest_wait)
                           : milliseconds{0};
  actors::tell(actor, actors::emit_event{std::string{name}, std::move(data), std::move(how.key),
                                         std::move(asked), timeout});
}

bool session_core::request_timer(std::string name, std::chrono::milliseconds delay,
                                 bool cancel) const {
  actors::set_session_timer wanted{std::move(name), delay, cancel, behavior()};
  auto* const there = caf::actor_cast<caf::abstract_actor*>(actor);
  if (static_cast<actors::session_actor*>(there)->set_now(wanted)) return true;
  if (!try_request(wanted.name.size())) return false;
  actors::tell(actor, std::move(wanted));
  return true;
}

}  // namespace detail

namespace {
const std::string nothing;
const std::vector<std::pair<std::string, std::string>> no_metadata;
}  // namespace

const std::string& session::id() const noexcept { return core_ ? core_->id : nothing; }
const std::string& session::user() const noexcept { return core_ ? core_->user : nothing; }
const std::string& session::type() const noexcept { return core_ ? core_->type->name : nothing; }
const std::string& session::arguments() const noexcept {
  return core_ ? core_->arguments : nothing;
}
const std::vector<std::pair<std::string, std::string>>& session::metadata() const noexcept {
  return core_ ? core_->metadata : no_metadata;
}
session_state session::state() const noexcept {
  return core_ ? core_->state() : session_state::ended;
}
session_end session::why_ended() const { return core_ ? core_->why_ended() : session_end{}; }

void session::emit(std::string_view type, std::string data, emit_callback done) const {
  emit(type, std::move(data), emit_options{}, std::move(done));
}

void session::emit(std::string_view type, std::string data, emit_options how,
                   emit_callback done) const {
  if (core_) return core_->emit(type, std::move(data), std::move(how), std::move(done));
  actors::call_back(done, emit_report{});
}

std::future<emit_report> session::emit_reported(std::string_view type, std::string data,
                                                emit_options how) const {
  auto promise = std::make_shared<std::promise<emit_report>>();
  auto future = promise->get_future();
  emit(type, std::move(data), std::move(how),
       [promise](const emit_report& r) { promise->set_value(r); });
  return future;
}

// Told first: what throws for lack of memory has ended nothing. Who is told may let go of this handle.

void session::end(std::string reason) const {
  const auto core = core_;
  if (!core || core->is_ending()) return;
  actors::tell(core->actor, actors::end_session{std::move(reason), nullptr});
  core->begin_end();
}

void session::end(std::string reason, std::function<void(const session_end&)> done) const {
  const auto core = core_;
  if (!core) return actors::call_back(done, session_end{});
  actors::tell(core->actor,
               actors::end_session{std::move(reason),
                                   std::make_shared<actors::end_receipt>(core, std::move(done))});
  core->begin_end();
}

void session::issue_token(std::function<void(std::string)> done) const {
  // Wrapped so that a refusal and a dead actor's mailbox answer as well.
  struct once {
    explicit once(std::function<void(std::string)> d) : done(std::move(d)) {}
    ~once() { actors::call_back(done, std::string{}); }
    once(const once&) = delete;
    once& operator=(const once&) = delete;
    std::function<void(std::string)> done;
  };
  auto answer = std::make_shared<once>(std::move(done));
  if (core_ && core_->try_request())
    actors::tell(core_->actor, actors::issue_token{[answer](std::string token) {
                   actors::call_back(answer->done, std::move(token));
                 }});
}

void session::watch(session_watcher told) const {
  if (!core_) return actors::call_back(told, session_state::ended, session_end{});
  if (!core_->try_watch() && core_->state() != session_state::ended) return;
  actors::tell(core_->actor,
               actors::watch_session{std::make_shared<actors::watch_sink>(core_, std::move(told))});
}

void session::set_owner() const {
  if (core_) actors::tell(core_->actor, actors::have_owner{true});
}

void session::lose_owner() const {
  if (core_) actors::tell(core_->actor, actors::have_owner{false});
}

bool session::start_timer(std::string name, std::chrono::milliseconds delay) const {
  return core_ && core_->request_timer(std::move(name), protocol::bounded_wait(delay), false);
}

bool session::cancel_timer(std::string name) const {
  return core_ && core_->request_timer(std::move(name), {}, true);
}

}  // namespace fairlead
