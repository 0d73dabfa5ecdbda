#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <fairlead/connection.hpp>
#include <fairlead/server.hpp>

#include "actors/backbone.hpp"
#include "actors/caf.hpp"
#include "actors/receipts.hpp"
#include "protocol/machine.hpp"
#include "protocol/ports.hpp"
#include "protocol/snapshot.hpp"

/// Every message that passes between Fairlead's actors, on one page. All stay in the process.
namespace fairlead::actors {

using core_ptr = std::shared_ptr<detail::connection_core>;
using except_list = std::shared_ptr<const std::vector<connection_id>>;  // sorted; null: nobody

// --- to a connection ------------------------------------------------------------------------------------------------

/// From handles and rosters. The chunk was counted on the connection's account; its receipt brings the outcome back.
struct send_frames {
  protocol::chunk what;
};
/// From handles and rosters. `asked` may be null.
struct begin_close {
  close_code code;
  std::string reason;
  initiator by;
  close_sink_ptr asked;
};
/// From whoever was first refused for want of room since half of the queue was last free; and from whoever was first
/// refused so that the connection is to be closed.
struct overflowed {
  bool close;
};
/// From its timer: the first of what is queued with a time to live may have expired.
struct expiry_due {};
/// From whoever first tried to send more than the limit in one message.
struct oversized {
  std::size_t bytes;
};
/// From its link: a message of the peer's.
struct link_message {
  message what;
};
/// From its link: bytes that the kernel took after the run that wrote them.
struct link_progress {
  protocol::progress what;
};
/// From its link or its close timer: what the machine is to know.
struct link_report {
  std::variant<protocol::upgraded, protocol::peer_closed, protocol::violated, protocol::link_closed,
               protocol::link_failed, protocol::deadline_passed>
      what;
};
/// From its roster, in answer to `request_admission`: it is registered. With the user's actor, if there is one.
struct admitted {
  caf::strong_actor_ptr user_companion;
};
/// What an inbound message counts for while it waits for a companion: a large one for several.
inline constexpr std::size_t most_bytes_of_weight_1 = 4096;
[[nodiscard]] inline std::uint32_t weight_of(const message& m) noexcept {
  return static_cast<std::uint32_t>(1 + m.size() / most_bytes_of_weight_1);
}
/// From a companion: it has handled messages of this weight; more may be read.
struct handled {
  std::uint32_t weight;
};
/// From its session, which has more for it, first a frame of this size: `send_more` is due when what is queued now has gone, and
/// there is room.
struct tell_of_room {
  std::uint32_t bytes;
};
/// From itself, behind what an inbound message that had to wait made it send.
struct read_on {};
/// From a collector; answered with a connection_snapshot.
struct take_snapshot {};
/// From its roster: all queues hold too much, and this one is among the longest. It is dropped and closed with 3008.
struct drop_queue {};
/// From its roster at a shutdown's deadline.
struct abort_now {};

// --- to a roster ----------------------------------------------------------------------------------------------------

/// From the backbone: a new connection on this loop, not admitted yet.
struct enroll {
  core_ptr who;
};
/// From a connection whose handshake is complete; answered with `admitted` or a `begin_close`.
struct request_admission {
  core_ptr who;
};
/// From a connection on its way out, before its actor ends.
struct depart {
  protocol::closed_record record;
};
/// From the supervisor: to every admitted connection of this loop but some.
struct fan_out {
  message what;
  except_list except;
  summary_ptr asked;
  permit_ptr counted;
  protocol::terms_ptr terms = {};
};
/// From the supervisor: to this user's connections on this loop.
struct fan_out_to_user {
  std::string user;
  message what;
  user_summary_ptr asked;
  user_permit_ptr counted;
  protocol::terms_ptr terms = {};
};
/// From the supervisor: close this user's connections on this loop.
struct close_user_connections {
  std::string user;
  close_code code;
  std::string reason;
  close_count_ptr asked;
};
/// From a loop that found all queues together over their budget: queues that hold `least` or more go, the longest first,
/// until `target` bytes are left of all.
struct shed {
  std::size_t least, target;
};
/// From the backbone, by the id's loop.
struct send_to_id {
  connection_id id;
  message what;
  receipt_ptr asked;
  permit_ptr counted;
};
struct close_id {
  connection_id id;
  close_code code;
  std::string reason;
  close_sink_ptr asked;
};
/// From a roster to the one that keeps this user's actor; answered with `user_attached`, or by closing the connection.
struct attach_user {
  core_ptr who;
};
struct user_attached {
  core_ptr who;
  caf::strong_actor_ptr companion;
};
/// From a connection that had been attached.
struct detach_user {
  std::string user;
};
/// From a posted task: a turn of the loop has passed since broadcasts began to wait.
struct turn_passed {};
/// From a companion of this loop that has ended while a shutdown is under way.
struct companion_ended {};
/// From the timer of a user whose last connection is gone.
struct user_linger_passed {
  std::string user;
};
/// From a collector; answered with `roster_view`.
struct view_roster {
  std::chrono::steady_clock::time_point asked_at;
};
struct roster_view {
  tree_node node;
  std::vector<core_ptr> connections;
};
/// From a collector; answered with a `loop_snapshot`.
struct view_metrics {
  std::chrono::steady_clock::time_point asked_at;
};
/// From a posted task: some more connections are to be counted.
struct count_some {
  std::shared_ptr<struct metrics_walk> walk;
};
/// From a collector; answered with one core, or a null one.
struct find_connection {
  connection_id id;
};
struct found_connection {
  core_ptr who;
};
/// From a collector; answered with `closed_records`, newest first.
struct view_closed {};
struct closed_records {
  std::vector<protocol::closed_record> records;
};
/// From the supervisor: refuse newcomers, close everyone by then, in an order that `seed` decides. Again: those that are
/// left, so; never by a later time. Answered with `roster_drained`, once, when no actor of this loop is left but the roster.
struct drain {
  close_code code;
  std::string reason;
  protocol::time_point all_told_by = protocol::time_point::max();
  std::uint64_t seed;
};
/// From its timer: some more are to be closed.
struct close_some {};
/// From the backbone to rosters, and from them to whom it concerns: what waits by the old limits may be due sooner.
struct limits_changed {};
/// From the supervisor at the deadline: abort who is left.
struct abort_all {};
/// From the supervisor once every roster is empty: end.
struct retire {};

// --- to the supervisor ----------------------------------------------------------------------------------------------

/// From the backbone.
struct broadcast {
  message what;
  except_list except;
  summary_ptr asked;
  permit_ptr counted;
  protocol::terms_ptr terms = {};
};
struct send_user {
  std::string user;
  message what;
  user_summary_ptr asked;
  user_permit_ptr counted;
  protocol::terms_ptr terms = {};
};
struct close_user {
  std::string user;
  close_code code;
  std::string reason;
  close_count_ptr asked;
};
struct begin_drain {
  drain_options how;
  std::function<void()> closing;  // called when nobody is to be accepted any more
  stop_sink_ptr asked;
};
struct stop {
  std::chrono::milliseconds deadline;
  close_code code;
  std::string reason;
  stop_sink_ptr asked;
};
/// From its timers.
struct grace_over {};
struct stop_deadline {};
/// From a roster that drains and whose loop has nobody left.
struct roster_drained {
  std::size_t loop;
};
/// From a collector; answered with a tree_node.
struct view_supervisor {};

// --- to a companion (the embedder's behavior) -----------------------------------------------------------------------

/// From a connection, in this order: opened, received ..., closed. Each `received` is answered with `handled`.
struct companion_opened {
  core_ptr who;
};
struct companion_received {
  core_ptr who;
  message what;
};
struct companion_closed {
  core_ptr who;
  close_info info;
};

// --- to a collector -------------------------------------------------------------------------------------------------

/// From whoever spawned it.
struct begin_collecting {};
/// From its timer: report with what there is.
struct collect_deadline {};

}  // namespace fairlead::actors

FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::send_frames)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::begin_close)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::overflowed)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::expiry_due)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::limits_changed)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::oversized)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::link_message)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::link_progress)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::link_report)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::admitted)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::handled)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::tell_of_room)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::read_on)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::take_snapshot)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::drop_queue)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::abort_now)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::enroll)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::request_admission)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::depart)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::fan_out)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::fan_out_to_user)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::close_user_connections)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::shed)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::send_to_id)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::close_id)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::attach_user)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::user_attached)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::detach_user)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::turn_passed)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::companion_ended)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::user_linger_passed)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::view_roster)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::roster_view)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::view_metrics)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::count_some)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::loop_snapshot)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::find_connection)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::found_connection)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::view_closed)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::closed_records)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::drain)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::close_some)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::abort_all)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::retire)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::broadcast)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::send_user)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::close_user)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::begin_drain)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::stop)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::grace_over)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::stop_deadline)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::roster_drained)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::view_supervisor)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::companion_opened)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::companion_received)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::companion_closed)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::begin_collecting)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::collect_deadline)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::tree_node)
FAIRLEAD_LOCAL_MESSAGE(fairlead::protocol::connection_snapshot)
