#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <caf/actor_system_config.hpp>
#include <caf/meta/type_name.hpp>

#include <fairlead/session.hpp>

/// What an actor of another process may ask of a Fairlead node, message by message: docs/sessions.md. All go to the one actor
/// that the node shows. Requests are answered, each once; a node that refuses to listen answers with a caf::error.
///
/// Most want `session_client` of <fairlead/caf/client.hpp> instead, which speaks this.
namespace fairlead::remote {

/// Begins a session. Answered with `spawned`. Who sends it owns the session: when it ends, or its process does, the session
/// ends or lingers (`session_options::on_owner_gone`).
struct spawn {
  std::string type;
  std::string id, user, arguments;
  std::vector<std::pair<std::string, std::string>> metadata;
  bool has_options = false;  ///< instead of the type's
  session_options options;
};
struct spawned {
  spawn_result result = spawn_result::shutting_down;
  std::string id, token;
  std::string problem;  ///< if it is not `spawned`: what was wrong and what would be right
};

/// Answered with an `emitted`.
struct emit {
  std::string session, type, data;
  std::string key;
  bool acked = false;
  std::uint64_t ack_timeout_ms = 30'000;
};
struct emitted {
  emit_result result = emit_result::no_such_session;
  std::uint64_t offset = 0;
  bool duplicate = false;
};

/// Answered with a `changed` once it has ended.
struct end {
  std::string session, reason;
};
/// The sender is sent `changed` now, and with each state that the session enters; `ended` is the last, also if the watch is refused.
/// Who watches already is not told again. Not answered otherwise.
struct watch {
  std::string session;
};
struct changed {
  std::string session;
  session_state state = session_state::ended;
  session_ender by = session_ender::application;  ///< once it has ended
  std::string reason;                             ///< the same; "no such session" if there was none
};
/// Answered with a `token`; empty if there is no such session.
struct issue_token {
  std::string session;
};
struct token {
  std::string text;
};
/// Answered with one, or with an error: the process has as many clients as it may. From either side nothing may come for `silence`
/// (gateway_options): then that side is given up.
struct sign_of_life {};
/// From an owner that goes: it owns nothing any more. Also from a node that goes, to everybody who has asked it for anything; the
/// answer to that is `leave`, and then the node waits no longer.
struct leave {};

template <class Inspector>
auto inspect(Inspector& f, spawn& m) {
  auto& o = m.options;
  return f(caf::meta::type_name("fairlead::remote::spawn"), m.type, m.id, m.user, m.arguments,
           m.metadata, m.has_options, o.max_messages, o.max_bytes, o.replay_window,
           o.attach_timeout, o.resume_window, o.max_age, o.token_lifetime, o.on_second_socket,
           o.max_sockets, o.on_owner_gone, o.on_failure, o.max_restarts, o.restart_period,
           o.max_inbox);
}
template <class Inspector>
auto inspect(Inspector& f, sign_of_life&) {
  return f(caf::meta::type_name("fairlead::remote::sign_of_life"));
}
template <class Inspector>
auto inspect(Inspector& f, leave&) {
  return f(caf::meta::type_name("fairlead::remote::leave"));
}
template <class Inspector>
auto inspect(Inspector& f, spawned& m) {
  return f(caf::meta::type_name("fairlead::remote::spawned"), m.result, m.id, m.token, m.problem);
}
template <class Inspector>
auto inspect(Inspector& f, emit& m) {
  return f(caf::meta::type_name("fairlead::remote::emit"), m.session, m.type, m.data, m.key,
           m.acked, m.ack_timeout_ms);
}
template <class Inspector>
auto inspect(Inspector& f, emitted& m) {
  return f(caf::meta::type_name("fairlead::remote::emitted"), m.result, m.offset, m.duplicate);
}
template <class Inspector>
auto inspect(Inspector& f, end& m) {
  return f(caf::meta::type_name("fairlead::remote::end"), m.session, m.reason);
}
template <class Inspector>
auto inspect(Inspector& f, watch& m) {
  return f(caf::meta::type_name("fairlead::remote::watch"), m.session);
}
template <class Inspector>
auto inspect(Inspector& f, changed& m) {
  return f(caf::meta::type_name("fairlead::remote::changed"), m.session, m.state, m.by, m.reason);
}
template <class Inspector>
auto inspect(Inspector& f, issue_token& m) {
  return f(caf::meta::type_name("fairlead::remote::issue_token"), m.session);
}
template <class Inspector>
auto inspect(Inspector& f, token& m) {
  return f(caf::meta::type_name("fairlead::remote::token"), m.text);
}

/// Makes CAF able to serialise these. Before the actor system begins, on both sides.
inline void add_message_types(caf::actor_system_config& config) {
  config.add_message_type<spawn>("fairlead::remote::spawn")
      .add_message_type<spawned>("fairlead::remote::spawned")
      .add_message_type<emit>("fairlead::remote::emit")
      .add_message_type<emitted>("fairlead::remote::emitted")
      .add_message_type<end>("fairlead::remote::end")
      .add_message_type<watch>("fairlead::remote::watch")
      .add_message_type<changed>("fairlead::remote::changed")
      .add_message_type<issue_token>("fairlead::remote::issue_token")
      .add_message_type<token>("fairlead::remote::token")
      .add_message_type<sign_of_life>("fairlead::remote::sign_of_life")
      .add_message_type<leave>("fairlead::remote::leave");
}

}  // namespace fairlead::remote
