#include <fairlead/close.hpp>

#include "protocol/utf8.hpp"

namespace fairlead {

bool may_be_sent(close_code code) noexcept {
  const auto number = static_cast<std::uint16_t>(code);
  const auto within = [number](unsigned low, unsigned high) {
    return number >= low && number <= high;
  };
  // 1004 is reserved, 1005, 1006 and 1015 only name what never was on the wire. A client says with 1010 that the
  // server negotiated too few extensions, so a server cannot mean it.
  return code != close_code::extension_required &&
         (within(1000, 1003) || within(1007, 1014) || within(3000, 4999));
}

bool valid_close_reason(std::string_view reason) noexcept {
  return reason.size() <= max_close_reason && protocol::valid_utf8(reason);
}

std::string_view to_string(initiator by) noexcept {
  switch (by) {
  case initiator::application: return "application";
  case initiator::peer: return "peer";
  case initiator::violation: return "violation";
  case initiator::error: return "error";
  case initiator::limit: return "limit";
  case initiator::shutdown: return "shutdown";
  case initiator::transport: return "transport";
  }
  return "unknown";
}

}  // namespace fairlead
