#pragma once

#include <memory>

#include "actors/environment.hpp"
#include "actors/messages.hpp"
#include "actors/pinned_actor.hpp"

namespace fairlead::actors {

/// The root: gives every broadcast its place in one order for all rosters, and takes the whole thing down.
class supervisor final : public pinned_actor {
 public:
  supervisor(caf::actor_config&, std::shared_ptr<loop_unit>, environment&);

  const char* name() const override { return "supervisor"; }
  caf::behavior make_behavior() override;
  void on_exit() override;

 private:
  void on_down(const caf::down_msg&) override;
  void on_crash(std::string_view what) override;
  void on(stop&);
  void on(const roster_drained&);
  void roster_ended();
  template <class Message>
  void tell_rosters(const Message&);

  environment& env_;
  protocol::timer deadline_;
  std::shared_ptr<std::function<void(shutdown_summary)>> done_;  // set once a stop was asked for
  protocol::time_point stop_began_{};
  shutdown_summary summary_;
  std::size_t to_drain_ = 0;
};

}  // namespace fairlead::actors
