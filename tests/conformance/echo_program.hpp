#pragma once

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/// The program itself, as somebody would start it: `fairlead serve --plain echo`, on a free port of this machine.
namespace fairlead::test {

class echo_program {
 public:
  explicit echo_program(const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{FAIRLEAD_PROGRAM, "serve",       "--plain",    "echo",
                                   "--listen",       "127.0.0.1:0", "--internal", "off",
                                   "--log-level",    "error"};
    words.insert(words.end(), more.begin(), more.end());
    int out[2];
    if (::pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    process_ = ::fork();
    if (process_ < 0) throw std::runtime_error("fork");
    if (process_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // whatever becomes of the test
      ::dup2(out[1], STDOUT_FILENO);
      std::vector<char*> arguments;
      for (auto& word : words) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(out[1]);
    out_ = out[0];
    address_ = printed_between("ws://", "/ws");
  }
  /// Drains it. Fails the process if it does not end well: a sanitizer's finding shall not be overlooked.
  ~echo_program() {
    drain();
    int how = 0;
    ::waitpid(process_, &how, 0);
    ::close(out_);
    if (!WIFEXITED(how) || WEXITSTATUS(how) != 0) std::_Exit(3);
  }
  echo_program(const echo_program&) = delete;
  echo_program& operator=(const echo_program&) = delete;

  /// Closes every connection, and ends.
  void drain() {
    if (!std::exchange(draining_, true))
      ::kill(process_, SIGTERM);  // a second one would cut it short
  }
  [[nodiscard]] const std::string& address() const { return address_; }
  /// Its memory at most, so far, in KB.
  [[nodiscard]] std::size_t peak_memory() const {
    std::ifstream status("/proc/" + std::to_string(process_) + "/status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6));
    return 0;
  }

 private:
  std::string printed_between(std::string_view before, std::string_view behind) {
    std::string all;
    for (;;) {
      const auto from = all.find(before);
      const auto to = from == std::string::npos ? from : all.find(behind, from);
      if (to != std::string::npos)
        return all.substr(from + before.size(), to - from - before.size());
      pollfd waited{out_, POLLIN, 0};
      char buffer[4096];
      const auto n =
          ::poll(&waited, 1, 30'000) > 0 ? ::read(out_, buffer, sizeof buffer) : ssize_t{0};
      if (n <= 0) throw std::runtime_error("the program says no address: " + all);
      all.append(buffer, static_cast<std::size_t>(n));
    }
  }

  pid_t process_ = -1;
  int out_ = -1;
  bool draining_ = false;
  std::string address_;
};

}  // namespace fairlead::test
