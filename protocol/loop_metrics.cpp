#include "protocol/loop_metrics.hpp"

#include <numeric>

#include "protocol/severity.hpp"

namespace fairlead::protocol {

std::string_view code_label(close_code code) noexcept {
  switch (code) {
  case close_code::normal: return "1000";
  case close_code::going_away: return "1001";
  case close_code::protocol_error: return "1002";
  case close_code::unsupported_data: return "1003";
  case close_code::no_status: return "1005";
  case close_code::abnormal: return "1006";
  case close_code::invalid_payload: return "1007";
  case close_code::policy_violation: return "1008";
  case close_code::message_too_big: return "1009";
  case close_code::extension_required: return "1010";
  case close_code::internal_error: return "1011";
  case close_code::service_restart: return "1012";
  case close_code::try_again_later: return "1013";
  case close_code::unauthorized: return "3000";
  case close_code::slow_consumer: return "3008";
  case close_code::session_ended: return "4500";
  case close_code::session_unknown: return "4501";
  case close_code::session_token: return "4502";
  case close_code::session_taken_over: return "4503";
  case close_code::session_full: return "4504";
  }
  const auto number = static_cast<std::uint16_t>(code);
  return number < 3000 ? "1xxx" : number < 4000 ? "3xxx" : "4xxx";
}

end_key key_of(const close_info& info) noexcept {
  return {info.by, code_label(info.code), severity_of(info)};
}

traffic& operator+=(traffic& sum, const traffic& part) noexcept {
  sum.messages_in += part.messages_in;
  sum.bytes_in += part.bytes_in;
  sum.bytes_written += part.bytes_written;
  for (std::size_t i = 0; i < sum.outcomes.size(); ++i) sum.outcomes[i] += part.outcomes[i];
  return sum;
}

std::uint64_t settled(const traffic& t) noexcept {
  return std::accumulate(t.outcomes.begin(), t.outcomes.end(), std::uint64_t{0});
}

std::uint64_t refused(const traffic& t) noexcept {
  return settled(t) - t.outcomes[static_cast<std::size_t>(send_result::written)];
}

}  // namespace fairlead::protocol
