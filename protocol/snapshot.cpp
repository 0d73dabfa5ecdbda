#include "protocol/snapshot.hpp"

#include <algorithm>

namespace fairlead {

std::string_view to_string(connection_state s) noexcept {
  switch (s) {
  case connection_state::connecting: return "connecting";
  case connection_state::accepted: return "accepted";
  case connection_state::open: return "open";
  case connection_state::closing: return "closing";
  case connection_state::closed: return "closed";
  case connection_state::failed: return "failed";
  }
  return "unknown";
}

}  // namespace fairlead

namespace fairlead::protocol {

void event_record::add(recorded_event happened) {
  if (ring_.size() < capacity) {
    ring_.push_back(happened);
    return;
  }
  ring_[next_] = happened;
  next_ = (next_ + 1) % capacity;
}

std::vector<recorded_event> event_record::in_order() const {
  std::vector<recorded_event> ordered(ring_);
  std::rotate(ordered.begin(), ordered.begin() + static_cast<std::ptrdiff_t>(next_), ordered.end());
  return ordered;
}

}  // namespace fairlead::protocol
