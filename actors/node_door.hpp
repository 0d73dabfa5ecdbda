#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <caf/actor_system.hpp>
#include <caf/io/doorman.hpp>

#include "actors/node_firewall.hpp"
#include "actors/session_gateway.hpp"

namespace fairlead::actors {

/// One connection, for whoever is not on CAF's network thread.
class peer {
 public:
  peer() = default;
  virtual ~peer() = default;
  peer(const peer&) = delete;
  peer& operator=(const peer&) = delete;
  virtual void cut(const char* why) = 0;        ///< it broke a rule; any thread
  virtual void turn_away(const char* why) = 0;  ///< there is no room for it; any thread
  virtual void read_again() = 0;                ///< network thread
  std::atomic<std::chrono::steady_clock::rep> heard{
      std::chrono::steady_clock::now().time_since_epoch().count()};
  std::atomic<bool> ended{false};  // cut or turned away
};

/// What the connections of one gateway share: their bounds and their counts. Any thread.
class node_door : public std::enable_shared_from_this<node_door> {
 public:
  node_door(caf::actor_system&, const gateway_options&, caf::actor_id gateway);

  const firewall_rules rules;
  const gateway_options options;
  std::atomic<std::uint64_t> accepted{0}, refused{0}, cut{0}, swallowed{0}, requests{0};

  /// As a newcomer. Strangers could be as many as they like: of these the oldest goes if there are too many, and who has shown
  /// which node it is does not count among them.
  void enter(peer*);
  void leave(peer*);
  /// That this is its node; it is no newcomer any more. False if it has to go: there are as many as may be, or another connection
  /// says so, which would have its messages taken away.
  [[nodiscard]] bool claim(peer*, const std::string& node);
  [[nodiscard]] std::size_t peers() const;
  /// Ends those who are silent, and newcomers that are late.
  void look_around();

  // Requests that the gateway has not handled. While there are too many, nothing more is read.
  void came(std::size_t bytes) noexcept;
  void handled(std::size_t bytes);
  [[nodiscard]] bool full() const noexcept;
  /// One has stopped reading.
  void stalled() noexcept { stalled_ = true; }

  void log_line(severity, std::string_view event, const std::string& who, const char* why) const;

 private:
  struct known {
    std::chrono::steady_clock::time_point came;
    std::string node;  // that it says it is; none: a newcomer
  };
  caf::actor_system& system_;
  mutable std::mutex mutex_;
  std::map<peer*, known> peers_;
  std::atomic<std::size_t> waiting_{0}, waiting_bytes_{0};
  std::atomic<bool> stalled_{false};
};

/// Accepts connections on a socket that listens.
[[nodiscard]] caf::io::doorman_ptr make_doorman(caf::actor_system&, int socket,
                                                std::shared_ptr<node_door>);

}  // namespace fairlead::actors
