#pragma once

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/execution_unit.hpp>
#include <caf/make_actor.hpp>
#include <caf/make_message.hpp>
#include <caf/resumable.hpp>
#include <caf/send.hpp>
#include <caf/typed_response_promise.hpp>

/// Everything that is spelled the way CAF 0.17 spells it, so that a later CAF is one port in one file.

/// Messages of ours never leave the process: they are whitelisted, not serialised.
#define FAIRLEAD_LOCAL_MESSAGE(type) CAF_ALLOW_UNSAFE_MESSAGE_TYPE(type)

namespace fairlead::actors {

/// Puts a message that is shared by many mailboxes into one of them, without a sender.
inline void enqueue_shared(const caf::strong_actor_ptr& to, const caf::message& what) {
  to->enqueue(nullptr, caf::make_message_id(), what, nullptr);
}

template <class Message>
void tell(const caf::strong_actor_ptr& to, Message&& what) {
  if (to) caf::anon_send(caf::actor_cast<caf::actor>(to), std::forward<Message>(what));
}
template <class Message>
void tell(const caf::actor& to, Message&& what) {
  caf::anon_send(to, std::forward<Message>(what));
}

/// What `promise.deliver` would send, from any thread. That one looks at where its actor runs (`local_actor::context`),
/// which the actor's own thread writes with each run.
template <class Answer>
void deliver_from_any_thread(const caf::response_promise& promise,
                             const caf::strong_actor_ptr& from, const Answer& what) {
  auto answer = caf::make_message(what);
  auto stages = promise.stages();
  if (!stages.empty()) {
    const auto next = std::move(stages.back());
    stages.pop_back();
    next->enqueue(caf::make_mailbox_element(promise.source(), promise.id(), std::move(stages),
                                            std::move(answer)),
                  nullptr);
  } else if (const auto& asker = promise.source()) {
    asker->enqueue(from, promise.id().response_id(), std::move(answer), nullptr);
  }
}

}  // namespace fairlead::actors
