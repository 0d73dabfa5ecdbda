#pragma once

#include <pthread.h>
#include <signal.h>

namespace fairlead::net {

/// Signals are for the program's main thread: a thread that is started in this scope sees none, and none interrupts its
/// system calls. What a thread does to itself (SIGSEGV ...) still reaches whoever reports it.
class signals_blocked {
 public:
  signals_blocked() {
    sigset_t others;
    sigfillset(&others);
    for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF})
      sigdelset(&others, own);
    pthread_sigmask(SIG_BLOCK, &others, &before_);
  }
  ~signals_blocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  signals_blocked(const signals_blocked&) = delete;
  signals_blocked& operator=(const signals_blocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace fairlead::net
