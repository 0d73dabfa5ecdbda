#pragma once

#include <cstddef>
#include <vector>

#include <fairlead/snapshot.hpp>

namespace fairlead::protocol {

using fairlead::close_attempt;
using fairlead::closed_record;
using fairlead::connection_snapshot;
using fairlead::connection_state;
using fairlead::recorded_event;
using fairlead::traffic;
using fairlead::wall_time;

/// The last 32 events; grows from empty so that a quiet connection pays little.
class event_record {
 public:
  static constexpr std::size_t capacity = 32;
  void add(recorded_event);
  [[nodiscard]] std::vector<recorded_event> in_order() const;

 private:
  std::vector<recorded_event> ring_;
  std::size_t next_ = 0;
};

}  // namespace fairlead::protocol
