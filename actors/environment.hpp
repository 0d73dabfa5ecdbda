#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "actors/backbone.hpp"
#include "actors/caf.hpp"
#include "actors/loop_unit.hpp"
#include "actors/messages.hpp"
#include "actors/session_directory.hpp"
#include "actors/user_seats.hpp"
#include "protocol/account.hpp"
#include "protocol/limit_hit.hpp"
#include "protocol/live_limits.hpp"
#include "protocol/loop_metrics.hpp"
#include "protocol/machine.hpp"
#include "protocol/queue_tally.hpp"
#include "protocol/session_machine.hpp"
#include "protocol/stream_tally.hpp"

namespace fairlead::actors {

/// What the actors of one loop share. Touched on that loop's thread only, once the backbone stands.
struct loop_context {
  std::size_t index = 0;
  std::shared_ptr<loop_unit> unit;
  caf::strong_actor_ptr roster;
  std::array<std::uint64_t, 6> by_state{};  // connections, by protocol::connection_state
  std::uint64_t behaviors = 0;
  protocol::loop_tally tally;
  bool refusing = false;              // a shutdown has begun
  bool aborting = false;              // its deadline has passed
  std::size_t enrolling = 0;          // connected, and not yet known to the roster
  caf::behavior connection_handlers;  // one for all of them: half a kilobyte that each would hold
  // What handlers send to their own connection in a run that `connection_actor::pass` began.
  const class connection_actor* appends_to = nullptr;
  std::vector<protocol::chunk> appended;
  caf::behavior session_handlers;  // one for all of them, as well
  protocol::sessions::effects session_effects;
  protocol::effects effects;     // reused by every step of every connection of the loop
  protocol::queue_tally queued;  // read by every loop
  std::size_t look_at = 0;  // what `queued` has to reach before its loop looks at the sum again
};

/// How a drain goes, for who asks meanwhile: the supervisor sets the phase, rosters count.
struct drain_record {
  std::atomic<drain_phase> phase{drain_phase::serving};
  std::atomic<std::uint64_t> connections{0}, asked{0}, closed{0}, aborted{0}, cut{0};
  // Less what had been counted when it began: so below zero until those connections end.
  std::atomic<std::int64_t> messages_written{0}, messages_refused{0};
};

/// What all actors of a backbone share. Outlives them.
struct environment {
  environment(caf::actor_system& s, backbone_options o)
      : system(s),
        options(std::move(o)),
        bounds(std::make_shared<protocol::live_limits>(options.limits)) {}

  caf::actor_system& system;
  const backbone_options options;  // logger and hits are never null; the limits in it may be old
  const std::shared_ptr<protocol::live_limits> bounds;  // handles of sessions may outlive this
  std::deque<loop_context> loops;
  std::shared_ptr<loop_unit> side;
  caf::strong_actor_ptr supervisor;
  std::shared_ptr<protocol::account> pending_broadcasts = std::make_shared<protocol::account>();
  const std::shared_ptr<unmet_sends> unmet = std::make_shared<unmet_sends>(options.logger);
  std::atomic<std::size_t> connections{0};
  drain_record drain;
  user_seats seats;
  session_directory sessions;
  protocol::stream_tally streams;
  std::atomic<bool> over{false};  // the supervisor has ended
  const std::shared_ptr<stop_record> stopped = std::make_shared<stop_record>();

  [[nodiscard]] const fairlead::limits& limits() const noexcept { return bounds->get(); }
  /// A limit has acted.
  void count(protocol::limit_hit what, std::uint64_t n = 1) const noexcept {
    options.hits->add(what, n);
  }
  [[nodiscard]] log& logger() const noexcept { return *options.logger; }
  /// The loop whose roster keeps this user's actor.
  [[nodiscard]] loop_context& home_of(const std::string& user) {
    return loops[std::hash<std::string>{}(user) % loops.size()];
  }
};

}  // namespace fairlead::actors
