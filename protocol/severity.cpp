#include "protocol/severity.hpp"

namespace fairlead::protocol {

severity severity_of(send_result result) noexcept {
  switch (result) {
  case send_result::written: return severity::debug;
  case send_result::closing: return severity::debug;
  case send_result::closed: return severity::debug;
  case send_result::failed: return severity::debug;
  case send_result::reconnecting: return severity::debug;
  case send_result::connecting: return severity::warning;
  case send_result::accepted: return severity::warning;
  case send_result::overflow: return severity::warning;
  case send_result::expired: return severity::warning;
  case send_result::too_large: return severity::warning;
  case send_result::no_such_connection: return severity::warning;
  }
  return severity_of_the_unexpected;
}

severity severity_of(close_result result) noexcept {
  switch (result) {
  case close_result::initiated: return severity::debug;
  case close_result::already_closing: return severity::debug;
  case close_result::already_closed: return severity::debug;
  case close_result::no_such_connection: return severity::warning;
  case close_result::invalid_code: return severity::warning;
  }
  return severity_of_the_unexpected;
}

severity severity_of(connection_state entered) noexcept {
  switch (entered) {
  case connection_state::connecting: return severity::debug;
  case connection_state::accepted: return severity::debug;
  case connection_state::open: return severity::info;
  case connection_state::closing: return severity::debug;
  case connection_state::closed: return severity::info;
  case connection_state::failed: return severity::info;
  }
  return severity_of_the_unexpected;
}

severity severity_of(const close_info& ended) noexcept {
  switch (ended.by) {
  case initiator::application: return severity::info;
  case initiator::peer: return severity::info;
  case initiator::shutdown: return severity::info;
  case initiator::transport: return severity::info;
  case initiator::violation: return severity::warning;
  case initiator::limit: return severity::warning;
  case initiator::error: return severity_of_the_unexpected;
  }
  return severity_of_the_unexpected;
}

}  // namespace fairlead::protocol
