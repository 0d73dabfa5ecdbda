#include "protocol/limit_hit.hpp"

namespace fairlead::protocol {

std::string_view to_string(limit_hit what) noexcept {
  switch (what) {
  case limit_hit::overflow: return "overflow";
  case limit_hit::too_large: return "too_large";
  case limit_hit::slow_close: return "slow_close";
  case limit_hit::expired: return "expired";
  case limit_hit::dropped_oldest: return "dropped_oldest";
  case limit_hit::replaced: return "replaced";
  case limit_hit::queue_budget: return "queue_budget";
  case limit_hit::stream_budget_dropped: return "stream_budget_dropped";
  case limit_hit::stream_budget_refused: return "stream_budget_refused";
  case limit_hit::pending_broadcasts: return "pending_broadcasts";
  case limit_hit::inbox_overflow: return "inbox_overflow";
  case limit_hit::message_too_big: return "message_too_big";
  case limit_hit::too_many_fragments: return "too_many_fragments";
  case limit_hit::inbound_rate_paused: return "inbound_rate_paused";
  case limit_hit::inbound_rate_closed: return "inbound_rate_closed";
  case limit_hit::unhandled_paused: return "unhandled_paused";
  case limit_hit::idle: return "idle";
  case limit_hit::pong_timeout: return "pong_timeout";
  case limit_hit::tls_failed: return "tls_failed";
  case limit_hit::bad_upgrade: return "bad_upgrade";
  case limit_hit::header_limits: return "header_limits";
  case limit_hit::handshake_timeout: return "handshake_timeout";
  case limit_hit::admission_timeout: return "admission_timeout";
  case limit_hit::pending_admissions: return "pending_admissions";
  case limit_hit::admission_expired: return "admission_expired";
  case limit_hit::connections: return "connections";
  case limit_hit::connections_per_address: return "connections_per_address";
  case limit_hit::connections_per_user: return "connections_per_user";
  case limit_hit::accept_rate: return "accept_rate";
  case limit_hit::origin: return "origin";
  case limit_hit::unauthorized: return "unauthorized";
  case limit_hit::last_: break;
  }
  return "unknown";
}

}  // namespace fairlead::protocol
