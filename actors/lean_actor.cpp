#include "actors/lean_actor.hpp"

#include <caf/detail/default_invoke_result_visitor.hpp>
#include <caf/detail/sync_request_bouncer.hpp>
#include <caf/system_messages.hpp>

#include "actors/pinned_actor.hpp"

namespace fairlead::actors {

namespace {

using node = caf::intrusive::singly_linked<caf::mailbox_element>;

/// Called with messages newest first, puts them behind `last` oldest first.
struct append_after {
  node* last;
  void operator()(node* message) const noexcept {
    message->next = last->next;
    last->next = message;
  }
};

append_after end_of(node& list) noexcept {
  auto* last = &list;
  while (last->next) last = last->next;
  return {last};
}

}  // namespace

lean_actor::lean_actor(caf::actor_config& config, std::shared_ptr<loop_unit> unit)
    : caf::local_actor(config), unit_(std::move(unit)) {}

void lean_actor::enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) {
  // Kept for a refusal, of which an asker is told: by then the message is gone.
  const auto id = what->mid;
  const auto asker = id.is_request() ? what->sender : caf::strong_actor_ptr{};
  switch (inbox_.push_front(std::move(what))) {
  case caf::intrusive::inbox_result::success: return;
  case caf::intrusive::inbox_result::unblocked_reader: return run_later();
  case caf::intrusive::inbox_result::queue_closed:
    if (asker) caf::detail::sync_request_bouncer{fail_state()}(asker, id);
  }
}

void lean_actor::launch(caf::execution_unit*, bool lazy, bool hide) {
  if (!hide) register_at_system();
  if (!lazy || !inbox_.try_block()) run_later();
}

void lean_actor::run_later() {
  intrusive_ptr_add_ref_impl();  // given back by who runs it
  unit_->exec_later(this);
}

caf::resumable::resume_result lean_actor::resume(caf::execution_unit*, std::size_t max_messages) {
  if (inbox_.closed()) return done;  // a message had come between its last run and its end
  const run_scope running{*this};
  bool blocked = false;
  for (std::size_t handled = 0; handled < max_messages && !blocked && !quitting_; ++handled) {
    if (const auto next = take())
      handle(*next);
    else
      blocked = inbox_.try_block();
  }
  if (!quitting_) guarded([this] { after_run(); });
  if (!quitting_) return blocked ? awaiting_message : resume_later;
  guarded([this] { on_exit(); });
  cleanup(std::move(fail_state_), unit_.get());
  return done;
}

void lean_actor::handle(caf::mailbox_element& message) {
  if (message.mid.is_response()) return;  // to nothing: this actor asks nobody
  current_mailbox_element(&message);
  guarded([&] {
    caf::detail::default_invoke_result_visitor<lean_actor> answer{this};
    if (handlers()(answer, message.content()) == caf::match_case::match) return;
    if (handle_system(message)) return;
    caf::error unknown = caf::sec::unexpected_message;
    answer(unknown);
  });
  current_mailbox_element(nullptr);
}

bool lean_actor::handle_system(caf::mailbox_element& message) {
  auto& what = message.content();
  if (what.match_elements<caf::exit_msg>()) {
    const auto& exit = what.get_as<caf::exit_msg>(0);
    unlink_from(exit.source);
    if (exit.reason) quit(exit.reason);
    return true;
  }
  if (what.match_elements<caf::down_msg>()) {
    on_down(what.get_as<caf::down_msg>(0));
    return true;
  }
  if (what.match_elements<caf::error>())
    return true;  // of a message that somebody could not handle
  return handle_system_message(message, unit_.get(), true);
}

void lean_actor::quit(caf::error why) noexcept {
  if (std::exchange(quitting_, true)) return;
  fail_state_ = std::move(why);
}

bool lean_actor::cleanup(caf::error&& why, caf::execution_unit* host) {
  if (!inbox_.closed()) {
    fetch();
    auto append = end_of(waiting_);
    inbox_.close(append);
    // Destroying a message settles its receipt, which may send again: to a closed inbox.
    while (auto left = take()) bounce(left, why);
  }
  return caf::local_actor::cleanup(std::move(why), host);
}

void lean_actor::fetch() noexcept {
  if (inbox_.blocked() || inbox_.closed()) return;  // empty, and to stay what it is
  const auto append = end_of(waiting_);
  for (node* newest = inbox_.take_head(); newest;) {
    auto* older = newest->next;
    append(newest);
    newest = older;
  }
}

caf::mailbox_element_ptr lean_actor::take() noexcept {
  if (!waiting_.next) fetch();
  auto* first = waiting_.next;
  if (first) waiting_.next = std::exchange(first->next, nullptr);
  return caf::mailbox_element_ptr{static_cast<caf::mailbox_element*>(first)};
}

std::size_t lean_actor::mailbox_size() noexcept {
  fetch();
  std::size_t size = 0;
  for (auto* at = waiting_.next; at; at = at->next) ++size;
  return size;
}

void lean_actor::crashed(const std::exception_ptr& thrown) {
  on_crash(what_of(thrown));
  quit(caf::sec::runtime_error);
}

}  // namespace fairlead::actors
