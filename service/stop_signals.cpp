#include <cerrno>
#include <system_error>

#include <fairlead/stop_signals.hpp>

namespace fairlead {

stop_signals::stop_signals(std::initializer_list<int> also) {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  for (const int other : also) sigaddset(&signals_, other);
  if (const int error = pthread_sigmask(SIG_BLOCK, &signals_, &before_)) {
    throw std::system_error{error, std::generic_category(), "pthread_sigmask"};
  }
}

stop_signals::~stop_signals() {
  // A second Ctrl-C that nobody waited for must not kill a process that is ending well.
  const timespec at_once{};
  while (sigtimedwait(&signals_, nullptr, &at_once) > 0) {
  }
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

int stop_signals::wait() const {
  int number = 0;
  while (const int error = sigwait(&signals_, &number)) {
    if (error != EINTR) throw std::system_error{error, std::generic_category(), "sigwait"};
  }
  return number;
}

}  // namespace fairlead
