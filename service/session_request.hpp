#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <fairlead/session.hpp>

#include "service/problem.hpp"

/// What one may ask of sessions over HTTP: bodies and queries. Pure.
namespace fairlead::service {

struct spawn_request {
  std::string type;
  spawn_options how;
  std::string key;  ///< a later request with the same one is this one again; empty: none
};
struct emit_request {
  std::string session, type, data;  ///< `data` as JSON
  emit_options how;
  bool wait = false;  ///< for the outcome
};
struct end_request {
  std::string session, reason;
};
/// `?state=&type=&user=&limit=&cursor=`. An empty or absent parameter is the default.
struct sessions_query {
  std::optional<session_state> state;
  std::optional<std::string> user;  ///< `user=` (present and empty) asks for the anonymous ones
  std::string type;
  std::size_t limit = 100;
  std::string cursor;  ///< what follows this id
};
/// `?after=&limit=&wait_ms=`.
struct inbox_query {
  std::string epoch = {};
  std::uint64_t after = 0;
  std::size_t limit = 100;
  std::chrono::milliseconds wait{0};
};

/// What a type's sessions have unless their spawn says otherwise, by the type's name.
using types_defaults = std::map<std::string, session_options, std::less<>>;
inline constexpr std::size_t longest_request_key = 128;
inline constexpr std::chrono::milliseconds longest_inbox_wait{60'000};
inline constexpr std::chrono::milliseconds longest_ack_wait{300'000};

/// `{"type": ..., "id", "user", "arguments", "metadata": {...}, "options": {...}, "key"}`, all but `type` optional. A string
/// in `arguments` is taken as it is, any other JSON value as its compact serialisation.
[[nodiscard]] parsed<spawn_request> parse_spawn(std::string_view body, const types_defaults&);
/// `{"session": ..., "type": ..., "data": ..., "key", "wait", "acked", "ack_timeout_ms"}`. `data` is any JSON value.
[[nodiscard]] parsed<emit_request> parse_emit(std::string_view body);
/// `{"session": ..., "reason"}`.
[[nodiscard]] parsed<end_request> parse_end(std::string_view body);
/// `{"session": ...}`: the id.
[[nodiscard]] parsed<std::string> parse_session(std::string_view body);

[[nodiscard]] parsed<sessions_query> parse_sessions_query(std::string_view query);
[[nodiscard]] parsed<inbox_query> parse_inbox_query(std::string_view query);

}  // namespace fairlead::service
