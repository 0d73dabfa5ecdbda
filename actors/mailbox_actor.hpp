#pragma once

#include <utility>

#include "actors/caf.hpp"

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace fairlead::actors {

#if defined(__SANITIZE_THREAD__)
/// CAF's actor with a mailbox, which orders what is put in before what is taken out. Debian's CAF is not instrumented, so the
/// thread sanitizer must be told; nobody else needs to be.
class mailbox_actor : public caf::event_based_actor {
 public:
  using caf::event_based_actor::event_based_actor;

  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override {
    __tsan_release(this);
    caf::event_based_actor::enqueue(std::move(what), unit);
  }
  resume_result resume(caf::execution_unit* unit, std::size_t max_messages) override {
    __tsan_acquire(this);
    return caf::event_based_actor::resume(unit, max_messages);
  }
  caf::invoke_message_result consume(caf::mailbox_element& what) override {
    __tsan_acquire(this);  // it may have come since the run began
    return caf::event_based_actor::consume(what);
  }
  bool cleanup(caf::error&& why, caf::execution_unit* unit) override {
    __tsan_acquire(this);  // what is left in the mailbox is destroyed
    return caf::event_based_actor::cleanup(std::move(why), unit);
  }
};
#else
using mailbox_actor = caf::event_based_actor;
#endif

}  // namespace fairlead::actors
