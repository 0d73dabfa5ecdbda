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
  virtual void cut(const char* why) = 0;  ///< any thread
  virtual void read_again() = 0;          ///< network thread
  std::atomic<std::chrono::steady_clock::rep> heard{
      std::chrono::steady_clock::now().time_since_epoch().count()};
};

/// What the connections of one gateway share: their bounds and their counts. Any thread.
class node_door : public std::enable_shared_from_this<node_door> {
 public:
  node_door(caf::actor_system&, const gateway_options&, caf::actor_id gateway);

  const firewall_rules rules;
  const gateway_options options;
  std::atomic<std::uint64_t> accepted{0}, refused{0}, cut{0}, swallowed{0}, requests{0};

  [[nodiscard]] bool enter(peer*);  ///< false: there are as many as may be
  void leave(peer*);
  /// That this is its node. False if another connection says so: it would get what is meant for that one.
  [[nodiscard]] bool claim(peer*, const std::string& node);
  [[nodiscard]] std::size_t peers() const;
  /// Cuts those who are silent.
  void look_around();

  // Requests that the gateway has not handled. While there are too many, nothing more is read.
  void came(std::size_t bytes) noexcept;
  void handled(std::size_t bytes);
  [[nodiscard]] bool full() const noexcept;
  /// One has stopped reading.
  void stalled() noexcept { stalled_ = true; }

  void log_line(severity, std::string_view event, const std::string& who, const char* why) const;

 private:
  caf::actor_system& system_;
  mutable std::mutex mutex_;
  std::map<peer*, std::string> peers_;  // and the nodes that they say they are
  std::atomic<std::size_t> waiting_{0}, waiting_bytes_{0};
  std::atomic<bool> stalled_{false};
};

/// Accepts connections on a socket that listens.
[[nodiscard]] caf::io::doorman_ptr make_doorman(caf::actor_system&, int socket,
                                                std::shared_ptr<node_door>);

}  // namespace fairlead::actors
