#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <fairlead/close.hpp>
#include <fairlead/connection.hpp>
#include <fairlead/drain.hpp>
#include <fairlead/message.hpp>

#include "service/debug_query.hpp"

/// The bodies of POST /api/...: JSON objects whose every field is known. Pure.
namespace fairlead::service {

/// One connection or all of one user's.
using addressee = std::variant<connection_id, std::string>;

struct send_request {
  addressee to;
  message data;
  send_options how = {};
  bool wait = false;  ///< for the outcome
};
struct send_all_request {
  message data;
  std::vector<connection_id> except;
  send_options how = {};
  bool wait = false;
};

/// How many of those who refused are named, where `refused_ids` is true.
inline constexpr std::size_t most_refused_ids = 1'000;
inline constexpr std::size_t longest_key = 256;

struct disconnect_request {
  addressee whom;
  close_code code = close_code::normal;
  std::string reason;
};

/// `{"client": "c0-1", "data": ...}` or `{"user": "ann", "data": ...}`. A string in `data` is the text that is sent;
/// any other JSON value is sent as its compact serialisation. Either way it is one WebSocket text message. Optional:
/// `ttl_ms` (1 to a day's), `policy` (a slow_policy's name), `key` (with keep_latest), `wait`, and, to a user, `refused_ids`.
[[nodiscard]] parsed<send_request> parse_send(std::string_view body);
/// `{"data": ..., "except": ["c0-1", ...]}`; `except` is optional, and so are the options of a send.
[[nodiscard]] parsed<send_all_request> parse_send_all(std::string_view body);
/// `{"client"|"user": ..., "disconnect": {"code": 1000, "reason": "..."}}`; code and reason are optional.
[[nodiscard]] parsed<disconnect_request> parse_disconnect(std::string_view body);

/// `{"timeout_ms": ..., "grace_ms": ..., "spread_ms": ..., "rate": ..., "code": ..., "reason": ...}` over `defaults`; all
/// are optional, and so is the body.
[[nodiscard]] parsed<drain_options> parse_drain(std::string_view body, drain_options defaults);

}  // namespace fairlead::service
