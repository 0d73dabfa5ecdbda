#include "actors/pinned_actor.hpp"

#include <exception>

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

pinned_actor::pinned_actor(caf::actor_config& config, std::shared_ptr<loop_unit> unit)
    : mailbox_actor(config), unit_(std::move(unit)) {
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
  mailbox_actor::enqueue(std::move(what), unit_.get());
}

void pinned_actor::launch(caf::execution_unit*, bool lazy, bool hide) {
  mailbox_actor::launch(unit_.get(), lazy, hide);
}

caf::resumable::resume_result pinned_actor::resume(caf::execution_unit* unit,
                                                   std::size_t max_messages) {
  const auto result = mailbox_actor::resume(unit, max_messages);
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
