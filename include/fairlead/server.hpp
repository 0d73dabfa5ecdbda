#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fairlead/admission.hpp>
#include <fairlead/behavior.hpp>
#include <fairlead/compression.hpp>
#include <fairlead/connection.hpp>
#include <fairlead/drain.hpp>
#include <fairlead/jwt.hpp>
#include <fairlead/limits.hpp>
#include <fairlead/log.hpp>
#include <fairlead/session.hpp>
#include <fairlead/snapshot.hpp>
#include <fairlead/tls.hpp>

namespace fairlead {

using broadcast_callback = std::function<void(const broadcast_summary&)>;

/// What a server is made of. Every handler is optional; handlers of one connection run one at a time, on that
/// connection's event loop, and must not block. One that throws closes its connection with 1011 and hurts no other.
struct server_options {
  /// `host:port`; port 0 picks a free one; `[::1]:8000` for IPv6.
  std::string listen = "127.0.0.1:8000";
  /// The debug and API listener; empty: none. Only loopback addresses, unless a token is set.
  std::string internal = {};
  /// If set, required there as `Authorization: Bearer <token>`.
  std::string internal_token = {};
  /// Where CAF processes reach it to spawn sessions (fairlead/caf/client.hpp), `host:port`; empty: nowhere.
  std::string actors = {};
  /// TLS there, with certificates on both sides: all three files. Without it only loopback addresses. TLS 1.2 or later;
  /// `min_version` and `reload_tls` have no part in it.
  tls_options actors_tls = {};
  /// Where WebSocket upgrades are accepted.
  std::string path = "/ws";
  /// The web pages that may connect, by their Origin (RFC 6454), such as `https://example.org`; compared exactly. Others
  /// get 403, unless this has `*`. Clients that are no browsers send no Origin, and may always connect.
  std::vector<std::string> origins = {};
  /// Event loops; 0: one per core.
  unsigned threads = 0;
  /// CAF scheduler threads, for actors of the embedder's (fairlead/caf/).
  unsigned actor_threads = 1;
  fairlead::limits limits = {};
  /// `wss://` instead of `ws://` on `listen`; the internal listener stays without.
  tls_options tls = {};
  /// Of messages, for clients that offer it.
  compression_options compression = {};
  /// Null: silent.
  std::shared_ptr<log> logger = {};
  /// How long a per-user behaviour outlives its last connection.
  std::chrono::milliseconds user_linger{30'000};
  /// How it drains where nobody says otherwise: `drain()`, and `POST /api/drain` without fields.
  drain_options drain = {};

  /// Tokens that clients have to show; default: none.
  jwt_options jwt = {};
  /// Who comes in, and as whom; default: everyone, anonymous, or as a token says. Called before there is a connection,
  /// for who has a good token if tokens are asked for. At most one of the two.
  upgrade_hook on_upgrade = {};
  async_upgrade_hook on_upgrade_async = {};
  std::function<void(const connection&)> on_open = {};
  std::function<void(const connection&, const message&)> on_message = {};
  std::function<void(const connection&, const close_info&)> on_close = {};

  /// If set, an actor of the embedder's own for each connection.
  connection_behavior_factory per_connection = {};
  /// If set, one for each user that has connections.
  user_behavior_factory per_user = {};

  /// The kinds of session that may be spawned, by name. With any, a client attaches to one of its sessions by
  /// `?session=ID&token=TOKEN&after=OFFSET`; such a connection is its session's, and the handlers above are not told of it.
  fairlead::session_types session_types = {};
};

/// A WebSocket server: event loops, connections, supervision. Its functions may be called from any thread.
///
/// It serves from `start` on, or from construction with options. Destruction is `shutdown` with its defaults. A handler
/// that broadcasts needs a server that exists before its options do: make one, then start it with handlers that refer
/// to it. Handlers must neither destroy nor shut down the server: both wait for handlers.
///
/// Before `start` and after `shutdown` every function is safe and does nothing: sends are refused, counts are zero. Only
/// `reload`, `reload_tls` and `reload_jwt` throw std::logic_error before `start`.
class server {
 public:
  server() noexcept;  ///< not serving yet
  explicit server(server_options);
  ~server();
  server(server&&) noexcept;
  server& operator=(server&&) noexcept;

  /// Checks the options (std::invalid_argument names each that is wrong and what would be right), reads the files of TLS
  /// and tokens (std::runtime_error with the file), binds the listeners (std::system_error with the address) and serves. If it throws, nothing is left running and it may be called again.
  /// std::logic_error if it was started before, also if it has been shut down since: once per object. Not at the same time
  /// as any other call; but those that handlers make, which may be called before this returns.
  void start(server_options);

  /// Reads the TLS files again, for connections to come; those that are open stay as they are. Any thread. Throws
  /// std::runtime_error that says which file is wrong and why, and then the old certificate stays in use; and
  /// std::logic_error if there is no TLS, or before `start`.
  void reload_tls();

  /// The same for `jwt.key_file`: tokens are checked by the new key from now on.
  void reload_jwt();

  [[nodiscard]] std::string address() const;  ///< `127.0.0.1:8000`, with the port that was picked
  [[nodiscard]] std::string internal_address() const;  ///< empty if there is none
  [[nodiscard]] std::string actors_address() const;    ///< empty if there is none

  /// To every open connection but those in `except`. All connections see one sender's broadcasts in its order.
  /// Between a broadcast and a direct send there is no order. Returns false, and sends nothing, if the bound on pending
  /// broadcasts is met or the server has stopped.
  bool broadcast(message, std::vector<connection_id> except = {});
  /// The same; `done` gets the outcomes once each is known (all `overflow`/`closed` when refused at once).
  void broadcast(message, std::vector<connection_id> except, broadcast_callback done);
  /// The same, each connection by these options. False if it was refused at once, which `done` is told as well.
  bool broadcast(message, std::vector<connection_id> except, send_options,
                 broadcast_callback done = {});

  /// To every connection of one user and no other. The summary is empty of `written` and has one
  /// `no_such_connection` if the user has none, one `reconnecting` if its per-user actor lingers.
  void send_to_user(std::string user, message, broadcast_callback done = {});
  void send_to_user(std::string user, message, send_options, broadcast_callback done = {});
  /// Closes every connection of one user; `done` gets how many closes were started.
  void close_user(std::string user, close_code, std::string reason,
                  std::function<void(std::size_t)> done = {});

  /// By id, for who holds no handle. Goes through the loop that the id names: in order with other calls by id, not with
  /// calls on a handle.
  void send(connection_id, message, send_callback done = {});
  void send(connection_id, message, send_options, send_callback done = {});
  /// Removal: starts a close with this code and reason. Idempotent, safe at any moment of the connection's life.
  void remove(connection_id, close_code = close_code::normal, std::string reason = {},
              close_callback done = {});

  /// Spawns a session of a registered type. Any thread; never waits.
  spawned_session spawn_session(const std::string& type, spawn_options = {});
  /// One that has not ended; null otherwise.
  [[nodiscard]] session find_session(const std::string& id) const;
  /// For sessions without a behaviour: up to `limit` messages of clients behind `after`, which counts as done with and is
  /// forgotten. At once if there are any, otherwise when one comes or `wait` is over. `epoch`: that of the page that `after`
  /// is from, so that no message of a later session of the same id is taken for one that was read.
  [[nodiscard]] std::future<inbox_page> read_inbox(const std::string& id, std::uint64_t after = 0,
                                                   std::size_t limit = 100,
                                                   std::chrono::milliseconds wait = {},
                                                   std::string epoch = {});
  [[nodiscard]] std::size_t session_count() const;

  [[nodiscard]] std::size_t connection_count() const noexcept;

  /// Every connection as its own actor tells it: state, queue, outcomes, last events. Blocks no actor and never hangs;
  /// after `timeout` who has not answered is listed. Ready, and empty, once the server has stopped. Do not wait for it
  /// in a handler: the connections of that handler's loop would not answer.
  [[nodiscard]] std::future<server_snapshot>
  snapshot(std::chrono::milliseconds timeout = std::chrono::seconds{1}) const;
  /// The last 1,000 connections that ended, newest first, and why. As for `snapshot`.
  [[nodiscard]] std::future<std::vector<closed_record>>
  recently_closed(std::chrono::milliseconds timeout = std::chrono::seconds{1}) const;

  /// Takes over from these options what can change while it serves, and nothing else: limits, origins,
  /// internal_token, drain.
  /// Server-wide limits hold at once; those of messages and queues for connections from now on. std::invalid_argument for
  /// options that cannot be used, also because an internal listener that other machines can reach would lose its token; then
  /// nothing has changed. std::logic_error before `start`.
  void reload(const server_options&);

  /// Begins to go down without hurting anyone (`drain_options`); at once `/ready` says 503. Ready when nobody is left;
  /// from then on the server refuses newcomers, and its internal listener answers until `shutdown`. Called again while it
  /// drains, what is left is closed with the newer code and reason, without a further grace, and sooner if the newer
  /// options say so, never later: the earlier deadline stands, and the earlier time by which all would have been closed.
  /// Without options: those of `server_options`. std::invalid_argument for options that cannot be used. Also from a
  /// handler, which must not wait for it.
  std::future<shutdown_summary> drain();
  std::future<shutdown_summary> drain(drain_options);
  /// How far it has come.
  [[nodiscard]] drain_progress drain_state() const;

  /// Ends. Stops accepting, closes everyone with this code and reason, what is queued first, all at once; waits for what is
  /// in flight up to the deadline, aborts the rest and stops the loops. To spread the closes, `drain` first; then this
  /// returns what the drain did. Idempotent; a second caller waits for the first's result.
  /// Throws std::logic_error if called from a handler, which it would wait for, and std::invalid_argument for a code or
  /// reason that cannot be sent.
  shutdown_summary shutdown(std::chrono::milliseconds deadline = std::chrono::seconds{10},
                            close_code = close_code::going_away,
                            std::string reason = "server shutting down");

 private:
  friend struct server_access;  // for fairlead/caf/ and the program
  class impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace fairlead
