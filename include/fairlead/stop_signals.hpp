#pragma once

#include <csignal>
#include <initializer_list>

namespace fairlead {

/// SIGINT, SIGTERM and more, for programs whose main thread has nothing to do but wait for them.
///
/// Make it first in `main`: it blocks the signals in the calling thread and so in every thread that is started after
/// it, or they would interrupt some other thread. Destruction unblocks what it blocked.
class stop_signals {
 public:
  /// With others that are to be waited for, such as SIGHUP.
  explicit stop_signals(std::initializer_list<int> also = {});
  ~stop_signals();
  stop_signals(const stop_signals&) = delete;
  stop_signals& operator=(const stop_signals&) = delete;

  /// Waits for one of them and returns its number. Any thread.
  int wait() const;

 private:
  sigset_t signals_{}, before_{};
};

}  // namespace fairlead
