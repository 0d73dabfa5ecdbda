#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "actors/backbone.hpp"

namespace fairlead::actors {

struct gateway_options {
  std::string host = "127.0.0.1";  ///< an address, not a name
  std::uint16_t port = 0;          ///< 0 picks a free one
  /// PEM files: all of them, for TLS with certificates on both sides, or none.
  std::string certificate = {}, key = {}, ca = {};
  backbone* sessions = nullptr;      ///< outlives it
  std::shared_ptr<log> logger = {};  ///< null: silent
  std::size_t max_peers = 64;  ///< connections that have shown whose they are; one more is closed
  std::size_t max_newcomers = 64;  ///< those that have not; for one more the oldest is closed
  std::chrono::milliseconds introduction{5'000};  ///< how long a connection may be one of these
  std::size_t max_message =
      1'024 * 1'024 + 64 * 1'024;              ///< of one request; past it the peer is cut
  std::size_t max_unread = 8 * 1'024 * 1'024;  ///< of answers that a peer does not read; the same
  std::size_t max_clients = 64;                ///< actors of one process that ask; more are refused
  std::size_t max_unanswered = 4'096;         ///< emits and the like of one owner; more are refused
  std::chrono::milliseconds silence{30'000};  ///< a peer that sends nothing for so long is cut
};

struct gateway_counts {
  std::size_t peers = 0;       ///< connections that have shown whose they are, now
  std::uint64_t accepted = 0;  ///< the same, so far
  std::uint64_t refused = 0;   ///< connections: too many, not in time, or TLS did not begin
  std::uint64_t cut = 0;       ///< connections that broke a rule
  std::uint64_t swallowed =
      0;  ///< messages that are none of <fairlead/caf/remote.hpp>, or for another actor
  std::uint64_t requests = 0;
};

/// What other CAF processes see of a backbone: one actor that takes the messages of <fairlead/caf/remote.hpp> and nothing else.
/// It lives in an actor system of its own, so that no other actor of ours can be reached from the wire, behind a firewall
/// that CAF's own protocol passes (docs/adr/0019).
class session_gateway {
 public:
  /// Listens; throws std::runtime_error that names the address or the file.
  explicit session_gateway(gateway_options);
  /// Owners are let go: their sessions end or linger. Waits a second at most for peers to have read what was sent to them.
  ~session_gateway();
  session_gateway(const session_gateway&) = delete;
  session_gateway& operator=(const session_gateway&) = delete;

  [[nodiscard]] std::string address() const;
  [[nodiscard]] gateway_counts counts() const;
  /// Takes no more connections; those that there are go on. Any thread.
  void stop_listening();

 private:
  class impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace fairlead::actors
