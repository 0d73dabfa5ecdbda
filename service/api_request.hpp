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
};
struct send_all_request {
  message data;
  std::vector<connection_id> except;
};
struct disconnect_request {
  addressee whom;
  close_code code = close_code::normal;
  std::string reason;
};

/// `{"client": "c0-1", "data": ...}` or `{"user": "ann", "data": ...}`. A string in `data` is the text that is sent;
/// any other JSON value is sent as its compact serialisation. Either way it is one WebSocket text message.
[[nodiscard]] parsed<send_request> parse_send(std::string_view body);
/// `{"data": ..., "except": ["c0-1", ...]}`; `except` is optional.
[[nodiscard]] parsed<send_all_request> parse_send_all(std::string_view body);
/// `{"client"|"user": ..., "disconnect": {"code": 1000, "reason": "..."}}`; code and reason are optional.
[[nodiscard]] parsed<disconnect_request> parse_disconnect(std::string_view body);

/// `{"timeout_ms": ..., "grace_ms": ..., "spread_ms": ..., "rate": ..., "code": ..., "reason": ...}` over `defaults`; all
/// are optional, and so is the body.
[[nodiscard]] parsed<drain_options> parse_drain(std::string_view body, drain_options defaults);

}  // namespace fairlead::service
