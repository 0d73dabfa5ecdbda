#pragma once

#include <cstddef>

#include "actors/environment.hpp"

/// The bound on what all queues of the process hold (limits::max_total_queued_bytes).
///
/// A queue is counted by what waits on its wire for the kernel, at the end of each run that changes that: what is written
/// at once is never counted. Each queue counts for itself, also where it shares a broadcast's bytes with others. What
/// still lies in a mailbox is not counted; the loop's next turn brings it here.
///
/// A loop looks at the sum when its own part has grown by a sixteenth of its share. So the sum is past the budget by a
/// sixteenth at most when rosters are told to shed: the longest queues go, until seven eighths are left.
namespace fairlead::actors {

/// After a change of `here`'s tally. Its loop's thread.
void look_at_budget(environment&, loop_context& here);

/// What all queues hold. Any thread.
[[nodiscard]] std::size_t queued_bytes(const environment&) noexcept;

}  // namespace fairlead::actors
