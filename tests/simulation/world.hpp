#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

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

class world {
 public:
  explicit world(std::uint64_t seed, bool traces);
  /// Throws violation.
  totals run(std::size_t steps);
  /// The last things that happened, oldest first.
  [[nodiscard]] const std::vector<std::string>& trace() const noexcept { return trace_; }

 private:
  struct peer {
    observed_link seen;
    connection handle;
    std::size_t reader = SIZE_MAX;  // of a session; SIZE_MAX: none
    bool gone = false;              // its link has ended and its end was dealt with
  };
  struct closing {
    std::size_t answers = 0;
  };

  void step();
  void finish();
  /// Reads what every link was given, and checks what must always hold.
  void check();
  void look_at(peer&);
  void check_bounds(const peer&) const;
  void check_all_caught_up() const;
  void check_kept() const;
  void check_tally();
  void check_traffic();
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
  void echo(const connection&);
  void close();
  void kill();
  void time_passes();
  void spawn();
  void emit();
  void attach();
  void end_session();
  void reads_inbox();

  [[nodiscard]] std::size_t below(std::size_t n) { return n == 0 ? 0 : random_() % n; }
  [[nodiscard]] bool chance(unsigned percent) { return below(100) < percent; }
  [[nodiscard]] peer* some_peer();
  [[nodiscard]] const peer* find(connection_id) const;
  [[nodiscard]] send_options some_options();
  void broadcast_once();
  /// For callbacks: whoever calls them keeps what they throw to himself, so that the next check has to throw it.
  template <class Function>
  void promised(Function&&);
  template <class... Args>
  void note(const char* format, const Args&... args);
  std::size_t begin_link(std::string user, std::size_t reader,
                         std::unique_ptr<protocol::attach_request> attach);

  std::mt19937_64 random_;
  const bool traces_;
  std::vector<std::string> trace_;
  std::uint64_t step_ = 0;
  std::size_t most_queued_;
  std::size_t most_kept_ = SIZE_MAX;  // by all sessions
  std::string broken_;
  // Above the harness: its last callbacks go here.
  ledger ledger_;
  std::vector<emitted> sessions_;
  std::vector<reader> readers_;
  std::vector<std::shared_ptr<peer>> peers_;
  std::vector<closing> closes_;
  std::vector<std::size_t> inboxes_;  // answers to each read
  std::unique_ptr<test::session_harness> harness_;
};

}  // namespace fairlead::simulation
