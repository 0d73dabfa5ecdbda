#pragma once

#include <vector>

#include "actors/environment.hpp"
#include "actors/messages.hpp"

namespace fairlead::actors {

/// Sends broadcasts, in order, to each of `members` but those that a broadcast excepts: folds them into shared runs of
/// frames, so that a connection finds one message in its mailbox, and makes one write, for all of them.
void deliver(const std::vector<fan_out>& broadcasts, const std::vector<core_ptr>& members);

/// Hands a broadcast to the supervisor. False, and `asked` counts everyone as `overflow`, if the bound on broadcasts that
/// wait for their fan-out is met. Any thread.
bool submit(environment&, message what, std::vector<connection_id> except, summary_ptr asked);

}  // namespace fairlead::actors
