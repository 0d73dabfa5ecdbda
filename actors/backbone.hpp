#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fairlead/behavior.hpp>
#include <fairlead/connection.hpp>
#include <fairlead/limits.hpp>
#include <fairlead/log.hpp>
#include <fairlead/server.hpp>
#include <fairlead/session.hpp>

#include "actors/user_seats.hpp"
#include "protocol/admission_ticket.hpp"
#include "protocol/limit_hit.hpp"
#include "protocol/loop_metrics.hpp"
#include "protocol/ports.hpp"
#include "protocol/session_frames.hpp"
#include "protocol/snapshot.hpp"

/// The actors behind a server, with no CAF type in sight: what the composition root wires to the sockets.
namespace fairlead::actors {

struct registered_type;  // actors/session_core.hpp

struct backbone_options {
  std::vector<std::shared_ptr<protocol::event_loop>>
      loops;  ///< at least one; connections live on these
  std::shared_ptr<protocol::event_loop>
      side;  ///< for collectors: answers even when a loop above is stuck
  unsigned actor_threads =
      1;  ///< of CAF's own scheduler, for actors that an embedder spawns beside ours
  fairlead::limits limits;                          ///< to begin with
  std::shared_ptr<log> logger;                      ///< null: silent
  std::shared_ptr<protocol::limit_hits> hits = {};  ///< null: counted for nobody
  std::function<protocol::wall_time()> wall_clock = &std::chrono::system_clock::now;
  std::chrono::milliseconds user_linger{30'000};
  std::function<void(const connection&)> on_open;
  std::function<void(const connection&, const message&)> on_message;
  std::function<void(const connection&, const close_info&)> on_close;
  connection_behavior_factory per_connection;
  user_behavior_factory per_user;
  fairlead::session_types session_types = {};             ///< what may be spawned
  std::function<std::string()> make_token = {};           ///< null: `make_secret`
  std::function<bool(std::string_view)> valid_json = {};  ///< null: everything is
  /// Gives a broadcast its compressed form, if somebody would take it; on the first loop. Null: none has one.
  std::function<message(const message&)> compress = {};
};

/// What is known of a connection before it exists.
struct connection_seed {
  std::string peer;     ///< `address:port`
  std::string user;     ///< empty: anonymous
  std::string target;   ///< path and query of the upgrade request
  user_seat seat = {};  ///< from `reserve`; none: it takes one, whatever the limit
  std::unique_ptr<const protocol::attach_request> attach = {};    ///< null: to no session
  std::unique_ptr<const protocol::admission_ticket> ticket = {};  ///< null: nothing to tell
};

/// One actor, for the debug tree.
struct tree_node {
  std::string name;  ///< "supervisor", "roster-0"
  std::uint64_t actor = 0;
  bool answered = true;  ///< false: did not answer in time; the figures are missing
  std::uint64_t mailbox = 0;
  std::uint64_t connections = 0;
  std::array<std::uint64_t, 6> by_state{};  ///< indexed by protocol::connection_state
  std::uint64_t users = 0, behaviors = 0;
  std::uint64_t queued_bytes = 0;         ///< waiting for the kernel, in all queues of that loop
  std::chrono::microseconds loop_lag{0};  ///< how long a task posted to that loop waited
};
struct tree_snapshot {
  tree_node supervisor;
  std::vector<tree_node> rosters;  ///< one per loop, in order
};

/// One loop, for metrics.
struct loop_snapshot {
  tree_node
      node;  ///< `answered` false: what is beside it is missing, and the lag is at least so long
  protocol::loop_metrics counts;
};
struct metrics_snapshot {
  tree_node supervisor;
  std::vector<loop_snapshot> loops;  ///< in order
};

/// Thread-safe unless said otherwise. Callbacks run once each, on some thread of the backbone's.
class backbone {
 public:
  explicit backbone(backbone_options);
  ~backbone();  ///< `stop` must have completed
  backbone(const backbone&) = delete;
  backbone& operator=(const backbone&) = delete;

  /// Makes room for one more connection of this user; nothing if there are as many as may be. It is freed with the seat,
  /// or by the end of the connection that `connect` makes of it. Always granted to the anonymous. The seat must not outlive
  /// the backbone.
  [[nodiscard]] std::optional<user_seat> reserve(const std::string& user);
  /// Spawns the actor of a new connection on loop `loop` and opens its link. Called on that loop's thread.
  /// Null, and the link is dropped, once a shutdown has begun.
  connection connect(std::size_t loop, std::shared_ptr<protocol::link>, connection_seed);

  bool broadcast(message, std::vector<connection_id> except);
  void broadcast(message, std::vector<connection_id> except, broadcast_callback done);
  bool broadcast(message, std::vector<connection_id> except, const send_options&,
                 broadcast_callback done);
  /// False: refused at once, as a broadcast that is. `done` is told it all the same.
  bool send_to_user(std::string user, message, broadcast_callback done);
  bool send_to_user(std::string user, message, const send_options&, broadcast_callback done);
  void close_user(std::string user, close_code, std::string reason,
                  std::function<void(std::size_t)> done);
  /// As `send_to_user`.
  bool send(connection_id, message, send_callback done);
  bool send(connection_id, message, const send_options&, send_callback done);
  void remove(connection_id, close_code, std::string reason, close_callback done);

  [[nodiscard]] std::size_t connection_count() const noexcept;
  /// In force at once; what a connection takes over when it begins (the bounds of its queue) from the next one on.
  void set_limits(const fairlead::limits&);
  [[nodiscard]] const fairlead::limits& limits() const noexcept;

  using milliseconds = std::chrono::milliseconds;
  /// Never block an actor, never hang: after `timeout` what has not answered is listed as such.
  void take_tree(milliseconds timeout, std::function<void(tree_snapshot)>);
  void take_metrics(milliseconds timeout, std::function<void(metrics_snapshot)>);
  void take_connections(milliseconds timeout, std::function<void(server_snapshot)>);
  /// Nothing if there is no such connection; `answered` false if it did not answer in time.
  struct one_snapshot {
    bool found = false;
    bool answered = false;
    protocol::connection_snapshot snapshot;
  };
  void take_connection(connection_id, milliseconds timeout, std::function<void(one_snapshot)>);
  /// The last 1,000 that ended, newest first.
  void take_closed(milliseconds timeout, std::function<void(std::vector<protocol::closed_record>)>);

  [[nodiscard]] spawned_session spawn_session(const std::string& type, spawn_options);
  /// Null if there is none that has not ended.
  [[nodiscard]] session find_session(const std::string& id) const;
  /// Of those of which it is still known.
  [[nodiscard]] std::shared_ptr<const ended_session>
  find_ended_session(const std::string& id) const;
  [[nodiscard]] std::vector<ended_session> ended_sessions() const;  ///< newest first
  [[nodiscard]] std::size_t session_count() const;
  /// Of the events that all of them keep, in frames.
  [[nodiscard]] std::size_t stream_bytes() const noexcept;
  /// What waits for the kernel, in all queues.
  [[nodiscard]] std::size_t queued_bytes() const noexcept;
  [[nodiscard]] std::vector<session> sessions() const;  ///< that have not ended, in no order
  /// Messages of clients behind `after`, which counts as done with; waits for some up to `wait`.
  void read_inbox(const std::string& id, std::uint64_t after, std::size_t limit, milliseconds wait,
                  std::string epoch, std::function<void(inbox_page)> done);
  struct sessions_snapshot {
    std::vector<session_snapshot> sessions;  ///< in no order
    std::vector<std::string> unanswered;     ///< ids
  };
  /// Of these; those that have ended meanwhile are not in it.
  void take_sessions(const std::vector<session>&, milliseconds timeout,
                     std::function<void(sessions_snapshot)>);
  /// By type, in the order of their names.
  [[nodiscard]] const std::vector<std::shared_ptr<const registered_type>>&
  session_types() const noexcept;

  /// Begins to drain. `closing` is called once, on a loop, when nobody is to be accepted any more; `done` once, when nobody
  /// is left or all is over.
  void drain(drain_options, std::function<void()> closing,
             std::function<void(shutdown_summary)> done);
  /// Without `elapsed`.
  [[nodiscard]] drain_progress drain_state() const noexcept;

  /// Closes every connection, what is queued first; after `deadline` aborts the rest; then stops all actors. `done` is
  /// called once, on a loop, when they have ended: from then on the loops have nothing of the backbone's left to run.
  /// A second stop changes nothing; its `done` gets the same summary, on the caller's thread if all is over already.
  void stop(milliseconds deadline, close_code, std::string reason,
            std::function<void(shutdown_summary)> done);

 private:
  friend struct caf_access;
  class impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace fairlead::actors
