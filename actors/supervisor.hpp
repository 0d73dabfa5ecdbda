#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "actors/environment.hpp"
#include "actors/messages.hpp"
#include "actors/pinned_actor.hpp"
#include "actors/session_messages.hpp"

namespace fairlead::actors {

/// The root: gives every broadcast its place in one order for all rosters, drains, and takes the whole thing down.
class supervisor final : public pinned_actor {
 public:
  supervisor(caf::actor_config&, std::shared_ptr<loop_unit>, environment&);

  const char* name() const override { return "supervisor"; }
  caf::behavior make_behavior() override;
  void on_exit() override;

 private:
  void on_down(const caf::down_msg&) override;
  void on_crash(std::string_view what) override;
  void on(begin_drain&);
  void on(stop&);
  void on(stop_deadline);
  void on(const roster_drained&);
  void begin(std::chrono::milliseconds timeout);
  void close_within(protocol::time_point from);
  void close_everyone();
  void drained();
  void take_down();
  void end_sessions();
  [[nodiscard]] message compressed(const message&) const;
  void cut_late_sessions();
  template <class Message>
  void tell_rosters(const Message&);

  environment& env_;
  protocol::timer grace_, deadline_;
  struct child {
    bool drained = false;  // nobody is left on its loop
    bool ended = false;
  };
  std::vector<child> rosters_;
  std::unordered_map<caf::actor_id, session_ptr> sessions_;
  drain_options how_;
  std::vector<std::function<void()>> closing_;  // to be called when nobody is accepted any more
  std::vector<stop_sink_ptr> asked_to_drain_;   // who wants to know when nobody is left
  std::vector<stop_sink_ptr> asked_to_stop_;    // who wants to know when it is over
  protocol::time_point began_{}, deadline_at_ = protocol::time_point::max(),
                                 all_told_by_ = protocol::time_point::max(), sessions_until_{};
  shutdown_summary summary_;
  bool stopping_ = false;      // once nobody is left it is over
  bool sessions_end_ = false;  // sessions are to end
  bool retiring_ = false;      // and then rosters
};

}  // namespace fairlead::actors
