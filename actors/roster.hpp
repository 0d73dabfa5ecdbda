#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "actors/connection_core.hpp"
#include "actors/environment.hpp"
#include "actors/messages.hpp"
#include "actors/pinned_actor.hpp"
#include "protocol/loop_metrics.hpp"

namespace fairlead::actors {

/// The connections of one loop: who is there, who is whose, and the last hop of every broadcast. Removes whoever departs
/// or dies. Also keeps the actors of the users whose home is this loop.
class roster final : public pinned_actor {
 public:
  roster(caf::actor_config&, std::shared_ptr<loop_unit>, environment&, loop_context&);

  const char* name() const override { return "roster"; }
  caf::behavior make_behavior() override;
  void on_exit() override;

 private:
  static constexpr std::size_t not_admitted = SIZE_MAX;
  struct entry {
    core_ptr who;
    std::size_t member = not_admitted;  // index in members_
    bool has_user_actor = false;        // attached to it, or about to be: to be detached
  };
  struct user_actor {
    caf::strong_actor_ptr actor;
    std::size_t attached = 0;
    std::unique_ptr<protocol::timer> linger;  // set while nobody is attached
  };

  void after_run() override;
  void on_down(const caf::down_msg&) override;
  void on_crash(std::string_view what) override;

  void on(const request_admission&);
  void admit(entry&);
  void attach_to_session(const core_ptr&);
  void on(const attach_user&);
  void on(const user_attached&);
  caf::strong_actor_ptr make_user_actor(const std::string& user);
  void retire_user(const std::string& user);
  void on(const detach_user&);
  void on(const user_linger_passed&);
  void on(depart&);
  void remove(std::uint64_t serial);
  void report_if_drained();

  void on(fan_out&);
  void on(turn_passed);
  void deliver_waiting(std::size_t most_messages);
  void on(const fan_out_to_user&);
  void on(const close_user_connections&);
  void on(send_to_id&);
  void on(close_id&);
  void on(const shed&);
  void on(const drain&);
  void begin_drain();
  void close_some();
  void tell_to_close(const core_ptr&);
  void count_messages(const protocol::traffic&, std::int64_t sign);
  [[nodiscard]] roster_view view(const view_roster&);
  [[nodiscard]] tree_node node(std::chrono::steady_clock::time_point asked_at);
  caf::result<loop_snapshot> on(const view_metrics&);
  void on(count_some&);
  [[nodiscard]] entry* find(connection_id);

  environment& env_;
  loop_context& here_;
  std::unordered_map<std::uint64_t, entry> known_;  // by serial, which is the actor's id
  std::vector<core_ptr> members_;                   // the admitted ones: whom a broadcast addresses
  std::unordered_map<std::string, std::vector<core_ptr>> by_user_;  // of the members
  std::unordered_map<std::string, user_actor> user_actors_;
  std::unordered_map<caf::actor_id, std::string> user_of_;  // by the user's actor
  std::deque<protocol::closed_record> closed_;              // newest first
  protocol::traffic departed_;  // what passed over connections that have ended, and what found none

  std::vector<fan_out> waiting_;  // broadcasts that came since the last fan-out
  std::size_t waiting_bytes_ = 0;
  std::size_t seen_waiting_ = 0;  // how many there were at the last turn
  unsigned quiet_turns_ = 0;
  bool turn_posted_ = false;
  bool behind_ = false;  // some of those that are due had no place in the last run

  drain farewell_{};                  // the latest
  std::vector<core_ptr> leaving_;     // to be told to close, the next one last
  std::size_t leaving_at_first_ = 0;  // how many there were at `leaving_since_`
  protocol::time_point leaving_since_{};
  protocol::timer pace_;
  bool draining_ = false;
  bool drained_reported_ = false;
};

}  // namespace fairlead::actors
