#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>

#include <fairlead/caf/remote.hpp>
#include <fairlead/session.hpp>

/// A client of a Fairlead node for programs that live in CAF: spawns sessions there, emits into them and watches them.
namespace fairlead {

/// What became of a request to a node: its answer, or why there is none (the node is lost, or refused to listen).
template <class T>
using answer_from_node = std::function<void(caf::expected<T>)>;

class remote_session;

/// The connection to one node, shared by its copies and its sessions. One is enough for a process, which may have 64 at a time. Any
/// thread. Callbacks run on CAF's threads, or on the caller's for what is refused at once, and once each but for watchers. Keep them short;
/// what they throw is caught, and nobody is told. They may use and let go of clients and sessions, and must not wait for other
/// callbacks: these run one at a time. The sessions that it spawned are owned by it: when the last
/// copy is gone, or its process is, they end or linger, as their types say. To be gone before the actor system.
class session_client {
 public:
  struct options {
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;
    bool tls =
        false;  ///< with the certificate and key of the system's configuration (caf-openssl, `openssl_...`)
    std::chrono::milliseconds timeout{5'000};  ///< for connecting
    std::chrono::milliseconds silence{
        10'000};  ///< a node of which nothing is heard for so long is lost
    std::size_t max_waiting =
        4'096;  ///< emits without an answer; one more is refused with `overflow`
    /// The node is gone, or the client broke; what is unanswered is answered with an error. Once, whatever other callbacks do.
    std::function<void()> on_lost = {};
  };
  /// Connects; blocks until the node has answered, or cannot be reached, or `timeout` is over. `system` has the middleman loaded (and caf::openssl::manager for TLS), and the
  /// types of `remote::add_message_types`.
  [[nodiscard]] static caf::expected<session_client> connect(caf::actor_system&, options);

  void spawn(std::string type, spawn_options how,
             std::function<void(caf::expected<remote::spawned>, remote_session)> done) const;
  /// A handle to one that somebody else spawned.
  [[nodiscard]] remote_session find(std::string id) const;

 private:
  friend class remote_session;
  struct state;
  explicit session_client(std::shared_ptr<state> s) noexcept : state_(std::move(s)) {}
  std::shared_ptr<state> state_;
};

/// A handle to a session on a node. As `fairlead::session`: copy it, keep it, use it from any thread. What one thread emits
/// and ends through it happens in that order.
class remote_session {
 public:
  remote_session() = default;  ///< none: all is answered with an error
  [[nodiscard]] const std::string& id() const noexcept { return id_; }

  void emit(std::string_view type, std::string data, emit_options,
            answer_from_node<emit_report> done = {}) const;
  void end(std::string reason, answer_from_node<session_end> done = {}) const;
  void issue_token(answer_from_node<std::string> done) const;
  /// Calls `told` with the state that it is in and with each that it enters; `ended` is the last, also if the node is lost:
  /// then `remote::changed::reason` says "the node is lost". As many clients watch it as may: it begins with "refused".
  void watch(std::function<void(const remote::changed&)> told) const;

 private:
  friend class session_client;
  remote_session(std::shared_ptr<session_client::state> s, std::string id) noexcept
      : state_(std::move(s)), id_(std::move(id)) {}
  std::shared_ptr<session_client::state> state_;
  std::string id_;
};

}  // namespace fairlead
