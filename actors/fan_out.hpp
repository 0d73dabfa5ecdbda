#pragma once

#include <vector>

#include "actors/messages.hpp"

namespace fairlead::actors {

/// Sends broadcasts, in order, to each of `members` but those that a broadcast excepts: folds them into shared runs of
/// frames, so that a connection finds one message in its mailbox, and makes one write, for all of them.
void deliver(const std::vector<fan_out>& broadcasts, const std::vector<core_ptr>& members);

}  // namespace fairlead::actors
