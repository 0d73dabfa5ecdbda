#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fairlead/close.hpp>
#include <fairlead/connection.hpp>
#include <fairlead/message.hpp>

/// Sessions: conversations that outlive their sockets. A session is an actor with a numbered, bounded stream; clients
/// attach to it, get what they missed and then what comes, and come back after a dropped socket.
namespace fairlead {

/// Where a session stands.
enum class session_state : std::uint8_t {
  detached,      ///< spawned, no socket yet
  attached,      ///< at least one socket
  reconnecting,  ///< its last socket is gone, one may come back
  ended,
};
[[nodiscard]] std::string_view to_string(session_state) noexcept;
inline constexpr std::size_t session_state_count = 4;

/// What ended a session.
enum class session_ender : std::uint8_t {
  application,     ///< somebody asked: `session::end`, the internal API
  behavior,        ///< its behaviour threw, and was not to be restarted (again)
  owner,           ///< the actor or process that owned it is gone
  never_attached,  ///< no socket came within `attach_timeout`
  abandoned,       ///< none came back within `resume_window`
  age,             ///< it reached `max_age`
  shutdown,        ///< the server went down
};
[[nodiscard]] std::string_view to_string(session_ender) noexcept;
inline constexpr std::size_t session_ender_count = 7;

struct session_end {
  session_ender by = session_ender::application;
  std::string reason;  ///< what clients are told, at most 123 bytes of UTF-8
  friend bool operator==(const session_end&, const session_end&) = default;
};

/// What became of one `emit`. Exactly one is reported for each.
enum class emit_result : std::uint8_t {
  written,    ///< in the stream, and the kernel took the last byte for at least one socket
  kept,       ///< in the stream for who attaches or catches up; no socket has it yet
  acked,      ///< only where asked for: a client has said that it has it
  unacked,    ///< asked for, and not acknowledged in time, or before the session ended
  ended,      ///< refused: the session has ended
  overflow,   ///< refused: too many emits wait for a turn or an ack, or all sessions keep too much
  too_large,  ///< refused: larger than one message, or the stream, may be
  invalid_data,     ///< refused: `data` is no JSON, or the type no name
  no_such_session,  ///< refused
};
[[nodiscard]] std::string_view to_string(emit_result) noexcept;
inline constexpr std::size_t emit_result_count = 9;

struct emit_report {
  emit_result result = emit_result::no_such_session;
  std::uint64_t offset = 0;  ///< its place in the stream, from 1; 0 if it was refused
  bool duplicate =
      false;  ///< one of the same key was there before: that one's offset, nothing was appended
  friend bool operator==(const emit_report&, const emit_report&) = default;
};
using emit_callback = std::function<void(const emit_report&)>;
/// Is told the states of a session; the second is set once it has ended.
using session_watcher = std::function<void(session_state, const session_end&)>;

struct emit_options {
  /// Report `acked` or `unacked` instead of `written` or `kept`.
  bool acked = false;
  /// With `acked`: how long to wait.
  std::chrono::milliseconds ack_timeout{30'000};
  /// If not empty: an emit with the key of one of the session's last 256 keyed ones is that one again. At most 128 bytes.
  std::string key = {};
};

/// What a second socket does that attaches to a session which has one.
enum class second_socket : std::uint8_t {
  takes_over,  ///< the older one is closed with `close_code::session_taken_over`
  joins,       ///< both get everything
};
enum class owner_gone : std::uint8_t { ends, lingers };
enum class behavior_failure : std::uint8_t {
  ends,      ///< the session ends, and its clients are told
  restarts,  ///< with a new behaviour and the same stream, until it failed too often
};

/// What one session may keep, and how long. Zero is never "unlimited".
struct session_options {
  std::size_t max_messages = 1'024;     ///< kept in its stream for replay; past it the oldest go
  std::size_t max_bytes = 256 * 1'024;  ///< the same, in bytes of frames
  std::chrono::milliseconds replay_window{300'000};  ///< older messages go
  std::chrono::milliseconds attach_timeout{
      300'000};                                      ///< without a first socket for so long it ends
  std::chrono::milliseconds resume_window{120'000};  ///< without a socket again for so long it ends
  std::chrono::milliseconds max_age{86'400'000};
  std::chrono::milliseconds token_lifetime{600'000};  ///< of a resume token that no socket holds
  second_socket on_second_socket = second_socket::takes_over;
  std::size_t max_sockets = 8;  ///< with `joins`; one more is refused
  owner_gone on_owner_gone = owner_gone::ends;
  behavior_failure on_failure = behavior_failure::ends;
  std::uint32_t max_restarts = 3;  ///< within `restart_period`; one more failure ends it
  std::chrono::milliseconds restart_period{60'000};
  std::size_t max_inbox =
      256;  ///< without a behaviour: messages of clients kept for who reads the inbox; past it sockets are not read
  friend bool operator==(const session_options&, const session_options&) = default;
};

namespace detail {
class session_core;
}

/// A handle to one session. Copy it, keep it, use it from any thread, long after the session and its server are gone.
/// What one thread emits and ends through it happens in that order. Nothing here waits. Callbacks run once each: on an
/// event loop, or on the caller's thread for what is refused at once. Keep them short, let them not throw.
class session {
 public:
  session() = default;  ///< none: emits are refused with `no_such_session`
  explicit session(std::shared_ptr<const detail::session_core> core) noexcept
      : core_(std::move(core)) {}

  [[nodiscard]] const std::string& id() const noexcept;
  [[nodiscard]] const std::string& user() const noexcept;  ///< empty: anonymous
  [[nodiscard]] const std::string& type() const noexcept;  ///< the name it was registered under
  /// What it was spawned with.
  [[nodiscard]] const std::string& arguments() const noexcept;
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& metadata() const noexcept;
  /// As of a moment ago.
  [[nodiscard]] session_state state() const noexcept;
  /// Set once `state` is `ended`.
  [[nodiscard]] session_end why_ended() const;

  /// Appends `{"session","offset","type","data","time"}` to its stream and sends it to every attached socket. `data` is any
  /// JSON value as text; `type` a name of 1 to 64 letters, digits, `.`, `_`, `:`, `-`, `/`.
  void emit(std::string_view type, std::string data, emit_callback done = {}) const;
  void emit(std::string_view type, std::string data, emit_options, emit_callback done = {}) const;
  [[nodiscard]] std::future<emit_report> emit_reported(std::string_view type, std::string data,
                                                       emit_options = {}) const;

  /// Ends it behind what was emitted: sockets are closed with `close_code::session_ended` and this reason. Idempotent, and
  /// free once an end is on its way. What is emitted from now on is refused.
  void end(std::string reason = "ended") const;
  /// The same; `done` is told, once it has ended, what ended it: this or something earlier.
  void end(std::string reason, std::function<void(const session_end&)> done) const;
  /// One more token to attach with, for a client that has lost its own; empty if it has ended. `done` runs on an event loop.
  /// At most 256 of these and of timers wait for their turn: past that `done` gets an empty one, on the caller's thread.
  void issue_token(std::function<void(std::string)> done) const;

  /// Calls `told` with the state that it is in, then with each that it enters; `ended` is the last. On an event loop. At
  /// most 8 a session; more are ignored, and the first of them is logged.
  void watch(session_watcher told) const;
  /// Says that somebody outside has it: the debug endpoint shows that, and `lose_owner` is to be called when they are gone.
  void set_owner() const;
  /// Its owner is gone: it ends, or lingers, as `session_options::on_owner_gone` says. Nothing if it has none.
  void lose_owner() const;

  /// Calls `session_behavior::on_timer` with this name once after `delay`; replaces one of the same name. At most 64 a
  /// session, more are ignored and logged. They go with the behaviour, those too that it asked for just before it failed.
  /// Within a function of its behaviour both take effect at once. From elsewhere they wait for their turn, within the bound
  /// of `issue_token`: false, and nothing happens, while 256 requests wait.
  bool start_timer(std::string name, std::chrono::milliseconds delay) const;
  bool cancel_timer(std::string name) const;

  [[nodiscard]] explicit operator bool() const noexcept { return core_ != nullptr; }
  friend bool operator==(const session&, const session&) = default;

  /// For `fairlead/caf/`.
  [[nodiscard]] const std::shared_ptr<const detail::session_core>& core() const noexcept {
    return core_;
  }

 private:
  std::shared_ptr<const detail::session_core> core_;
};

/// The embedder's own part of a session, run by its actor: one call at a time, on one event loop's thread, which it must
/// not block. Its state needs no lock. One that throws fails: `session_options::on_failure`.
class session_behavior {
 public:
  virtual ~session_behavior() = default;
  /// Spawned, or restarted after a failure.
  virtual void on_start(const session&) {}
  /// A socket is attached: it has been told what it missed.
  virtual void on_attach(const session&, const connection&) {}
  /// A client's message, other than an acknowledgement.
  virtual void on_message(const session&, const connection&, const message&) {}
  virtual void on_detach(const session&, const connection&, const close_info&) {}
  virtual void on_timer(const session&, const std::string& /*name*/) {}
  /// Last call. What is emitted here is refused. Not for one that has thrown: it is destroyed, whether the session ends by that
  /// or restarts.
  virtual void on_end(const session&, const session_end&) {}
};
/// Makes the behaviour of a session that begins or restarts. Null, or an exception, is a failure.
using session_behavior_factory = std::function<std::unique_ptr<session_behavior>(const session&)>;

/// A kind of session that may be spawned. Without a behaviour, what clients send is kept in the session's inbox, which
/// its owner reads over the internal API or by `server::read_inbox`.
struct session_type {
  session_behavior_factory behavior = {};
  session_options options = {};
};
/// By name: 1 to 64 letters, digits, `.`, `_`, `:`, `-`, `/`. What is not in it cannot be spawned.
using session_types = std::map<std::string, session_type>;

struct spawn_options {
  /// 1 to 128 letters, digits, `.`, `_`, `:`, `-`; empty: one is made up. Unique among sessions that have not ended.
  std::string id = {};
  std::string user =
      {};  ///< whose it is; only connections of that user, or anonymous ones, may attach
  std::string arguments = {};  ///< for the behaviour; at most 64 KB
  std::vector<std::pair<std::string, std::string>> metadata =
      {};  ///< shown by the debug endpoint; at most 16, 4 KB
  /// Instead of the type's.
  std::shared_ptr<const session_options> options = {};
};
enum class spawn_result : std::uint8_t {
  spawned,
  exists,         ///< one of that id is there, and has not ended
  unknown_type,   ///< not registered
  invalid,        ///< an id, argument or option that cannot be used
  too_many,       ///< `limits::max_sessions`
  shutting_down,  ///< or not serving
};
[[nodiscard]] std::string_view to_string(spawn_result) noexcept;

struct spawned_session {
  spawn_result result = spawn_result::shutting_down;
  fairlead::session session = {};  ///< with `exists`: the one that is there
  std::string token = {};    ///< to attach with for the first time; secret. Empty unless `spawned`
  std::string problem = {};  ///< with `invalid`: what cannot be used, and what would be right
  [[nodiscard]] explicit operator bool() const noexcept { return result == spawn_result::spawned; }
};

/// A message of a client's in the inbox of a session without behaviour.
struct inbox_message {
  std::uint64_t offset = 0;  ///< from 1
  message what;
};
struct inbox_page {
  bool found = false;  ///< there is such a session
  bool ended = false;  ///< it has ended: nothing more will come
  std::vector<inbox_message> messages = {};
  std::string epoch = {};  ///< offsets count within it; empty if it has ended
  /// `after` or `epoch` are of another session that had this id, or `after` is a mistake: nothing was forgotten.
  bool another = false;
  std::uint64_t last = 0;    ///< of the last message that has come
  std::uint64_t unread = 0;  ///< if it has ended: how many were there then, and are gone
};

/// One session at one moment, made by its own actor.
struct session_snapshot {
  std::string id, user, type;
  session_state state = session_state::detached;
  std::chrono::system_clock::time_point began;
  std::chrono::milliseconds in_state{0};
  std::optional<std::chrono::milliseconds> ends_in;  ///< unless a socket comes before
  std::vector<std::pair<std::string, std::string>> metadata;
  std::string epoch;
  std::uint64_t offset = 0, first_kept = 0,
                acked = 0;  ///< of its stream; `first_kept` 0: nothing is kept
  std::uint64_t kept_messages = 0, kept_bytes = 0;
  std::uint64_t replayed = 0, received = 0, resumes = 0, inbox = 0, mailbox = 0;
  std::uint64_t inbox_bytes = 0;    ///< of frames
  std::uint64_t inbox_readers = 0;  ///< that wait for a message
  std::uint32_t restarts = 0;
  bool has_owner = false;
  struct socket {
    connection_id id;
    std::uint64_t sent = 0;  ///< up to this offset
    bool lagging = false;    ///< it reads more slowly than the session emits
  };
  std::vector<socket> sockets;
  struct event {
    std::chrono::milliseconds at{0};  ///< since it began
    const char* name = "";            ///< in static storage
    std::uint64_t detail = 0;
  };
  std::vector<event> events;  ///< the last 16, oldest first
};

/// A session that ended.
struct ended_session {
  std::string id, user, type;
  std::chrono::system_clock::time_point began, ended;
  session_end info;
  std::uint64_t offset = 0;
  std::uint64_t unread = 0;  ///< messages of clients that were in its inbox
};

}  // namespace fairlead
