#include "actors/pinned_actor.hpp"

#include <exception>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace fairlead::actors {

std::string what_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "not a std::exception";
  }
}

namespace {

/// That a mailbox orders what is put in before what is taken out. Debian's CAF is not instrumented, so the thread
/// sanitizer must be told; nobody else needs to be.
void note_put([[maybe_unused]] void* mailbox) {
#if defined(__SANITIZE_THREAD__)
  __tsan_release(mailbox);
#endif
}
void note_taken([[maybe_unused]] void* mailbox) {
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(mailbox);
#endif
}

}  // namespace

pinned_actor::pinned_actor(caf::actor_config& config, std::shared_ptr<loop_unit> unit)
    : caf::event_based_actor(config), unit_(std::move(unit)) {
  // CAF's defaults print to standard output.
  set_default_handler([](caf::scheduled_actor*, caf::message_view&) -> caf::result<caf::message> {
    return caf::sec::unexpected_message;
  });
  set_down_handler([this](caf::down_msg& down) { on_down(down); });
  set_error_handler([](caf::error&) {});
  set_exception_handler([this](std::exception_ptr& thrown) -> caf::error {
    on_crash(what_of(thrown));
    return caf::sec::runtime_error;
  });
}

void pinned_actor::enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) {
  note_put(this);
  caf::event_based_actor::enqueue(std::move(what), unit_.get());
}

#if defined(__SANITIZE_THREAD__)
caf::invoke_message_result pinned_actor::consume(caf::mailbox_element& what) {
  note_taken(this);  // it may have come since the run began
  return caf::event_based_actor::consume(what);
}

bool pinned_actor::cleanup(caf::error&& why, caf::execution_unit* unit) {
  note_taken(this);  // what is left in the mailbox is destroyed
  return caf::event_based_actor::cleanup(std::move(why), unit);
}
#endif

void pinned_actor::launch(caf::execution_unit*, bool lazy, bool hide) {
  caf::event_based_actor::launch(unit_.get(), lazy, hide);
}

caf::resumable::resume_result pinned_actor::resume(caf::execution_unit* unit,
                                                   std::size_t max_messages) {
  note_taken(this);
  const auto result = caf::event_based_actor::resume(unit, max_messages);
  if (result == caf::resumable::done) return result;
  try {
    after_run();
  } catch (...) {  // outside CAF's care: it ends this actor, as it would inside
    on_crash(what_of(std::current_exception()));
    caf::anon_send_exit(self(), caf::exit_reason::unhandled_exception);
  }
  return result;
}

}  // namespace fairlead::actors
