#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "actors/environment.hpp"
#include "actors/messages.hpp"

namespace fairlead::actors {

/// Sends broadcasts, in order, to each of `members` but those that a broadcast excepts: folds them into shared runs of
/// frames, so that a connection finds one message in its mailbox, and makes one write, for all of them. Begins no further
/// one after so many messages to connections; returns how many it has sent.
std::size_t deliver(std::span<const fan_out> broadcasts, const std::vector<core_ptr>& members,
                    const limits&, std::size_t most_messages = SIZE_MAX);

/// A place for a message on its way to a roster, which will hand it on: null if the bound on those is met. Any thread.
[[nodiscard]] permit_ptr permit_for(environment&, const message&);
[[nodiscard]] user_permit_ptr permit_for_user(environment&, const message&);

/// Hands a broadcast to the supervisor. False, and `asked` counts everyone it would have addressed, if the bound on
/// broadcasts that wait for their fan-out is met (`overflow`) or the backbone has stopped (`closed`). Any thread.
bool submit(environment&, message what, std::vector<connection_id> except, const send_options&,
            summary_ptr asked);
/// What these options ask of every queue, from now on. Any thread.
[[nodiscard]] protocol::terms_ptr terms_for(environment&, const send_options&);

}  // namespace fairlead::actors
