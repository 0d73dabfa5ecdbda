#include "protocol/severity.hpp"

namespace fairlead::protocol {

severity severity_of(send_result result) noexcept {
  switch (result) {
  case send_result::written:
  case send_result::closing:
  case send_result::closed:
  case send_result::failed:
  case send_result::reconnecting: return severity::debug;
  case send_result::connecting:
  case send_result::accepted:
  case send_result::overflow:
  case send_result::expired:
  case send_result::too_large:
  case send_result::no_such_connection: return severity::warning;
  }
  return severity_of_the_unexpected;
}

severity severity_of(close_result result) noexcept {
  switch (result) {
  case close_result::initiated:
  case close_result::already_closing:
  case close_result::already_closed: return severity::debug;
  case close_result::no_such_connection:
  case close_result::invalid_code: return severity::warning;
  }
  return severity_of_the_unexpected;
}

severity severity_of(connection_state entered) noexcept {
  switch (entered) {
  case connection_state::connecting:
  case connection_state::accepted: return severity::debug;
  case connection_state::open: return severity::info;
  case connection_state::closing: return severity::debug;
  case connection_state::closed:
  case connection_state::failed: return severity::info;
  }
  return severity_of_the_unexpected;
}

severity severity_of(const close_info& ended) noexcept {
  switch (ended.by) {
  case initiator::application:
  case initiator::peer:
  case initiator::shutdown:
  case initiator::transport: return severity::info;
  case initiator::limit:  // an admission that ends when it is to end is no news
    return ended.code == close_code::unauthorized ? severity::info : severity::warning;
  case initiator::violation: return severity::warning;
  case initiator::error: return severity_of_the_unexpected;
  }
  return severity_of_the_unexpected;
}

}  // namespace fairlead::protocol
