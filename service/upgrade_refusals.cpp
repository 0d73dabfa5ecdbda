#include "service/upgrade_refusals.hpp"

namespace fairlead::service {

std::string_view to_string(upgrade_refusal why) noexcept {
  switch (why) {
  case upgrade_refusal::path: return "path";
  case upgrade_refusal::stopping: return "stopping";
  case upgrade_refusal::origin: return "origin";
  case upgrade_refusal::attach: return "attach";
  case upgrade_refusal::token_missing: return "token_missing";
  case upgrade_refusal::token_ambiguous: return "token_ambiguous";
  case upgrade_refusal::token_malformed: return "token_malformed";
  case upgrade_refusal::token_algorithm: return "token_algorithm";
  case upgrade_refusal::token_signature: return "token_signature";
  case upgrade_refusal::token_expired: return "token_expired";
  case upgrade_refusal::token_not_yet: return "token_not_yet";
  case upgrade_refusal::token_audience: return "token_audience";
  case upgrade_refusal::token_issuer: return "token_issuer";
  case upgrade_refusal::token_claims: return "token_claims";
  case upgrade_refusal::hook: return "hook";
  case upgrade_refusal::hook_failed: return "hook_failed";
  case upgrade_refusal::timeout: return "timeout";
  case upgrade_refusal::too_many_pending: return "too_many_pending";
  case upgrade_refusal::client_left: return "client_left";
  case upgrade_refusal::user_connections: return "user_connections";
  case upgrade_refusal::last_: break;
  }
  return "unknown";
}

}  // namespace fairlead::service
