#pragma once

#include <cstdint>
#include <memory>
#include <vector>

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
  void take_down();
  template <class Message>
  void tell_rosters(const Message&);

  environment& env_;
  protocol::timer deadline_;
  enum class phase : std::uint8_t { serving, draining, retiring };
  struct child {
    bool drained = false;  // nobody is left on its loop
    bool ended = false;
  };
  phase phase_ = phase::serving;
  std::vector<child> rosters_;
  std::vector<stop_sink_ptr> asked_;  // who wants to know when it is over
  protocol::time_point stop_began_{};
  shutdown_summary summary_;
};

}  // namespace fairlead::actors
