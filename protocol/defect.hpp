#pragma once

#include <array>
#include <cstdint>
#include <string_view>

/// Mistakes that can be planted to see whether the simulation finds them: tests/simulation. There are none in the product, where
/// `planted` is a constant.
namespace fairlead::protocol {

enum class defect : std::uint8_t {
  none,
  unsealed_wire,    ///< a data frame may follow a Close
  silent_writes,    ///< what was written is not reported so
  unbounded_queue,  ///< a full queue takes more
  crowded_queue,    ///< a queue's bytes are bounded, its messages are not
  no_budget,        ///< all queues together may hold what each of them may
  forgotten_end,    ///< a connection that ended is still counted
  user_stays,       ///< a connection that ended is still one of its user's
  user_missed,      ///< a user's second connection on a loop is none of that user's
  events_make_way,  ///< a session's events are dropped for a broadcast
  blind_to_gaps,    ///< who cannot be caught up is told that it is
  event_twice,      ///< who comes back gets its last event again
  event_skipped,    ///< a slow socket misses one when it is sent on
  sleeping_socket,  ///< a slow socket is not sent on
  eager_acks,       ///< an acknowledgement counts for all that wait
  used_token_gone,  ///< a token is used up before its successor was seen
  double_answer,    ///< an emit may be answered twice
  ghost_events,     ///< what an ended session kept is still counted
  run_to_all,       ///< a run of broadcasts goes to whom one of them excepts
  run_or_nothing,   ///< who has no room for all of a run gets nothing of it
  run_is_one,       ///< a run that makes way counts as one message
  old_messages,     ///< a drain's summary counts what was sent before it
  large_skipped,    ///< an event that is too large for a socket counts as sent to it
  early_words,      ///< a session's socket gets others' messages before its session's first
};
inline constexpr std::array<std::string_view, 24> defect_names{
    "none",          "unsealed_wire",   "silent_writes", "unbounded_queue",
    "crowded_queue", "no_budget",       "forgotten_end", "user_stays",
    "user_missed",   "events_make_way", "blind_to_gaps", "event_twice",
    "event_skipped", "sleeping_socket", "eager_acks",    "used_token_gone",
    "double_answer", "ghost_events",    "run_to_all",    "run_or_nothing",
    "run_is_one",    "old_messages",    "large_skipped", "early_words"};

#ifdef FAIRLEAD_DEFECTS
inline defect planted_defect = defect::none;
inline bool planted(defect d) noexcept { return planted_defect == d; }
#else
constexpr bool planted(defect) noexcept { return false; }
#endif

}  // namespace fairlead::protocol
