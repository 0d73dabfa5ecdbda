#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/actors/session_harness.hpp"
#include "tests/simulation/oracle.hpp"
#include "tests/simulation/people.hpp"

/// A server whose sockets, clock, scheduler, clients and users are all one random generator: the same seed, the same run.
namespace fairlead::simulation {

struct totals {
  std::uint64_t steps = 0, links = 0, messages = 0, written = 0, sessions = 0, events = 0,
                attaches = 0;
  totals& operator+=(const totals&);
};

[[nodiscard]] inline std::uint64_t written_of(const traffic& counts) {
  return counts.outcomes[static_cast<std::size_t>(send_result::written)];
}

class world {
 public:
  /// `traces`: what happens is printed as it happens.
  explicit world(std::uint64_t seed, bool traces);
  /// Throws violation. `before_step` is called with the number of each step.
  totals run(std::size_t steps, const std::function<void(std::uint64_t)>& before_step);

 private:
  struct peer {
    observed_link seen;
    connection handle;
    std::size_t reader = SIZE_MAX;  // of a session; SIZE_MAX: none
    bool gone = false;              // its link has ended and its end was dealt with
    bool answered = false;          // its Close frame
    std::size_t most_queued = 0;    // bytes, as the limits were when it came
    std::uint32_t most_messages = 0;
    std::string user = {};
    bool forgotten = false;  // it has ended, and everybody has had the time to hear of that
    std::size_t opened = 0;  // calls to on_open
    std::vector<std::string> closes = {};  // the reason in each call to on_close

    [[nodiscard]] std::optional<std::string> closed_because() const {
      return closes.empty() ? std::nullopt : std::optional{closes.front()};
    }
  };
  struct closing {
    std::size_t answers = 0;
  };
  /// What was asked for all connections of a user.
  struct user_request {
    std::string user;
    std::vector<std::size_t> there = {};  // links that were registered for sure
    std::size_t at_most = 0;              // links that may have been
    std::size_t links_before = 0;         // of all; later ones may be met as well
  };
  struct user_send {
    user_request to;
    std::size_t message = 0;
    std::optional<broadcast_summary> summary = {};
    bool checked = false;
  };
  struct user_close {
    user_request to;
    std::string reason;
    bool is_valid = true;  // its code
    std::optional<std::size_t> started = {};
    bool checked = false;
  };
  struct count_of_all {
    std::size_t connections = 0, refused = 0, answered = 0;
    std::size_t came = 0;  // messages, to their last byte
    std::size_t written =
        0;  // of these, counted as such: not yet, if the run that they are of is not through
  };

  /// A turn of all loops: over when each of them has run what it had to when it began.
  struct lap {
    std::shared_ptr<std::size_t> loops_left = std::make_shared<std::size_t>(0);
    std::size_t began_at = 0, last_began_at = 0;  // bytes that had been queued by then, in all
  };

  void step();
  void becomes_quiet();
  void finish();
  /// Reads what every link was given, and checks what must always hold.
  void check();
  void look_at(peer&);
  void check_bounds(const peer&) const;
  void check_all_caught_up() const;
  void check_kept() const;
  void check_queued_by_all();
  void check_tally();
  void check_traffic();
  void check_living() const;
  void check_users();
  void check_users_in_quiet();
  void check_answered(const user_send&) const;
  void check_answered(const user_close&) const;
  void check_closed_users() const;
  void check_summary(const shutdown_summary&) const;
  void check_end() const;
  void check_counts(const peer&, const traffic&, bool lives) const;

  // What may happen. Each does nothing where there is nobody to do it.
  void turn_loops();
  void connect();
  void upgrade();
  void peer_speaks();
  void peer_reads();
  void peer_leaves();
  void send();
  void broadcast();
  void settled(std::size_t message, send_result);
  void echo(const connection&);
  void send_to_user();
  void close();
  void close_user();
  void kill();
  void time_passes();
  void time_creeps();
  void reload();
  void spawn();
  void emit();
  void attach();
  void end_session();
  void reads_inbox();
  void goes_down();

  [[nodiscard]] std::size_t below(std::size_t n) { return n == 0 ? 0 : random_() % n; }
  [[nodiscard]] bool chance(unsigned percent) { return below(100) < percent; }
  [[nodiscard]] peer* some_peer();
  [[nodiscard]] peer* find(connection_id) const;
  [[nodiscard]] std::vector<std::size_t> links_of(const broadcast_summary&) const;
  [[nodiscard]] std::string some_user();
  [[nodiscard]] bool is_there(const peer&) const;
  [[nodiscard]] user_request request_to(const std::string& user) const;
  [[nodiscard]] send_options some_options();
  void change(limits&);
  void attach(std::size_t reader);
  void come_back();
  void broadcast_once();
  void send_to_user(const std::string& user, const send_options&, bool reports,
                    std::size_t padding);
  void everything_runs();
  void notice_ends();
  void drain(bool at_once);
  [[nodiscard]] std::function<void(shutdown_summary)> next_summary();
  bool begins_to_go_down();
  [[nodiscard]] count_of_all books() const;
  [[nodiscard]] count_of_all books_before();
  /// For callbacks: whoever calls them keeps what they throw to himself, so that the next check has to throw it.
  template <class Function>
  void promised(Function&&);
  template <class... Args>
  void note(const char* format, const Args&... args);
  std::size_t begin_link(std::string user, std::size_t reader,
                         std::unique_ptr<protocol::attach_request> attach);

  std::mt19937_64 random_;
  const bool traces_;
  std::uint64_t step_ = 0;
  slow_policy policy_ = slow_policy::disconnect;
  std::size_t most_queued_ = 0;  // by a connection that comes now
  std::uint32_t most_messages_ = 0;
  std::size_t most_queued_by_all_ = SIZE_MAX;
  std::size_t most_kept_ = SIZE_MAX;  // by all sessions
  lap lap_;
  std::string broken_;
  // Above the harness: its last callbacks go here.
  ledger ledger_;
  std::vector<emitted> sessions_;
  std::vector<reader> readers_;
  std::vector<std::shared_ptr<peer>> peers_;
  std::vector<closing> closes_;
  std::vector<user_send> user_sends_;  // those that report
  std::vector<user_close> user_closes_;
  bool has_user_behaviors_ = false;
  std::vector<std::size_t> inboxes_;  // answers to each read
  bool going_down_ = false, stops_ = false, stopped_first_ = false;
  std::vector<std::size_t> closings_;                       // calls to each drain's
  std::vector<std::optional<shutdown_summary>> summaries_;  // of each drain and early stop
  std::optional<count_of_all> before_;  // when it began to go down; nothing: all was not quiet then
  std::unique_ptr<test::session_harness> harness_;
};

template <class... Args>
void world::note(const char* format, const Args&... args) {
  if (!traces_) return;
  fmt::print("{:>5}  {}\n", step_, fmt::format(fmt::runtime(format), args...));
  std::fflush(stdout);  // the process may die in the next moment
}

template <class Function>
void world::promised(Function&& function) {
  try {
    function();
  } catch (const violation& v) {
    if (broken_.empty()) broken_ = v.what();
  }
}

}  // namespace fairlead::simulation
