#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include <fairlead/session.hpp>

#include "actors/connection_core.hpp"
#include "actors/messages.hpp"
#include "actors/session_core.hpp"

/// Every message to a session's actor, on one page, beside those that it gets as its connections' companion
/// (actors/messages.hpp). All stay in the process.
namespace fairlead::actors {

using session_ptr = std::shared_ptr<detail::session_core>;

/// A connection that waits for a session's answer. If none comes, the session has ended.
class attach_ticket {
 public:
  explicit attach_ticket(core_ptr who) : who_(std::move(who)) {}
  ~attach_ticket() {
    if (who_)
      who_->close(close_code::session_ended, "the session has ended", initiator::application, {});
  }
  attach_ticket(const attach_ticket&) = delete;
  attach_ticket& operator=(const attach_ticket&) = delete;
  /// For who answers.
  [[nodiscard]] core_ptr take() noexcept { return std::exchange(who_, nullptr); }

 private:
  core_ptr who_;
};
using attach_ticket_ptr = std::shared_ptr<attach_ticket>;

/// The answer to one who wants to know that a session has ended: given when nobody holds it any more.
class end_receipt {
 public:
  end_receipt(std::shared_ptr<const detail::session_core> who,
              std::function<void(const session_end&)> done)
      : who_(std::move(who)), done_(std::move(done)) {}
  ~end_receipt();
  end_receipt(const end_receipt&) = delete;
  end_receipt& operator=(const end_receipt&) = delete;

 private:
  std::shared_ptr<const detail::session_core> who_;
  std::function<void(const session_end&)> done_;
};
using end_receipt_ptr = std::shared_ptr<end_receipt>;

/// From whoever spawned it: its first message. `token` is good for the first socket.
struct session_begin {
  std::string token;
};
/// From a roster: this connection, which is not open yet, wants to attach. It is answered with `user_attached`, or the
/// connection is closed.
struct ask_to_attach {
  attach_ticket_ptr ticket;
};
/// From handles: counted on the session's account of emits. `asked` may be null.
struct emit_event {
  std::string type, data, key;
  emit_receipt_ptr asked;
  std::chrono::milliseconds ack_timeout{0};  // 0: `acked` is not asked for
};
/// From handles. `asked` may be null.
struct end_session {
  std::string reason;
  end_receipt_ptr asked;
};
/// From handles, as the next: counted on the session's account of requests.
struct issue_token {
  std::function<void(std::string)> done;
};
struct set_session_timer {
  std::string name;
  std::chrono::milliseconds delay;
  bool cancel;
  std::uint32_t behavior;  // whose: void if that one has failed meanwhile
};
/// From a connection that was asked to tell: there is room again.
struct send_more {
  connection_id to;
};
/// From the backbone: messages behind `after`, which itself is done with. At once if there are any, or when `wait` is over.
struct read_inbox {
  std::uint64_t after;
  std::size_t limit;
  std::chrono::milliseconds wait;
  std::string epoch;
  inbox_sink_ptr asked;
};
/// From handles: somebody owns it, or that one is gone.
struct have_owner {
  bool has;
};
/// From handles: one more than there may be at most.
struct watch_session {
  watch_sink_ptr sink;
};
/// From its timer.
struct session_due {};
/// From a collector; answered with a session_snapshot.
struct take_session_snapshot {};

/// To the supervisor, from whoever spawned it: one more to watch.
struct enroll_session {
  session_ptr who;
};

}  // namespace fairlead::actors

FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::session_begin)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::ask_to_attach)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::emit_event)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::end_session)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::issue_token)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::set_session_timer)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::send_more)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::read_inbox)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::have_owner)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::watch_session)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::session_due)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::take_session_snapshot)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::enroll_session)
FAIRLEAD_LOCAL_MESSAGE(fairlead::session_snapshot)
