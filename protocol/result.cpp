#include <fairlead/result.hpp>

namespace fairlead {

static_assert(static_cast<std::size_t>(send_result::no_such_connection) + 1 == send_result_count);

std::string_view to_string(send_result result) noexcept {
  switch (result) {
  case send_result::written: return "written";
  case send_result::connecting: return "connecting";
  case send_result::accepted: return "accepted";
  case send_result::closing: return "closing";
  case send_result::closed: return "closed";
  case send_result::failed: return "failed";
  case send_result::reconnecting: return "reconnecting";
  case send_result::overflow: return "overflow";
  case send_result::expired: return "expired";
  case send_result::too_large: return "too_large";
  case send_result::no_such_connection: return "no_such_connection";
  }
  return "unknown";
}

std::string_view to_string(close_result result) noexcept {
  switch (result) {
  case close_result::initiated: return "initiated";
  case close_result::already_closing: return "already_closing";
  case close_result::already_closed: return "already_closed";
  case close_result::no_such_connection: return "no_such_connection";
  case close_result::invalid_code: return "invalid_code";
  }
  return "unknown";
}

}  // namespace fairlead
