#include "tests/simulation/crash_note.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdlib>

#include <unistd.h>

// There only where a sanitizer is built in.
extern "C" void __sanitizer_set_death_callback(void (*)()) __attribute__((weak));

namespace fairlead::simulation::crash_note {

namespace {

std::array<char, 1'000> text;
std::atomic<std::size_t> length{0};

/// Only what a signal handler may do. Once: a sanitizer that has spoken may abort.
void write_it() {
  const auto size = length.exchange(0);
  if (size > 0) static_cast<void>(!write(STDERR_FILENO, text.data(), size));
}

/// The signal's own action is back by then, and follows.
void on_signal(int number) {
  write_it();
  raise(number);
}

}  // namespace

void watch() {
  // For a stack that has overflowed. Not freed: it may be needed to the end.
  static std::array<std::byte, 64 * 1024> stack;
  stack_t other{};
  other.ss_sp = stack.data();
  other.ss_size = stack.size();
  sigaltstack(&other, nullptr);

  struct sigaction action {};
  action.sa_handler = &on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER | SA_ONSTACK);
  sigaction(SIGABRT, &action, nullptr);
  if (__sanitizer_set_death_callback) {  // it says where it was, which a handler of ours would prevent
    __sanitizer_set_death_callback(&write_it);
    return;
  }
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigaction(number, &action, nullptr);
}

void set(std::string_view note) {
  length = 0;
  const auto size = std::min(note.size(), text.size() - 1);
  std::copy_n(note.data(), size, text.data());
  text[size] = '\n';
  length = size + 1;
}

}  // namespace fairlead::simulation::crash_note

/// Called by the undefined-behaviour sanitizer, which with gcc is a library of its own beside the address sanitizer and knows
/// nothing of the callback above. With the options that the presets set, its first report ends the process.
extern "C" void __ubsan_on_report() { fairlead::simulation::crash_note::write_it(); }
