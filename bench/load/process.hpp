#pragma once

#include <cstdint>
#include <ctime>
#include <string>

#include <sys/types.h>

namespace fairlead::bench {

/// A process's resident memory in KiB. `private_kb` is what the process alone holds.
struct memory_sample {
  std::uint64_t rss_kb = 0;
  std::uint64_t pss_kb = 0;
  std::uint64_t private_kb = 0;
  std::uint64_t peak_rss_kb = 0;
};

/// The account of another process: CPU time and memory, read without its help.
class process_account {
 public:
  /// Throws load_error when there is no such process.
  explicit process_account(pid_t pid);

  /// CPU time used so far by all its threads, the ended ones too, in nanoseconds. Throws load_error when it is gone.
  ///
  /// The kernel's CPU clock of the process: the same account as /proc/PID/task/*/schedstat, but read in one call, up to
  /// date for a thread that is running right now, and not forgetful of threads that ended in between.
  [[nodiscard]] std::uint64_t cpu_ns() const;

  [[nodiscard]] memory_sample memory() const;

 private:
  std::string root_;
  clockid_t clock_{};
};

/// CPU time of this process, in nanoseconds: shows whether the client was the bottleneck.
std::uint64_t own_cpu_ns();

/// Monotonic time in nanoseconds.
std::uint64_t now_ns();

/// What was used between two moments.
struct usage {
  std::uint64_t wall_ns = 0;
  std::uint64_t server_cpu_ns = 0;
  std::uint64_t client_cpu_ns = 0;
};

/// Marks the start of a measured window; `used()` says what went by since.
class usage_meter {
 public:
  explicit usage_meter(const process_account& server)
      : server_(server), start_{now_ns(), server.cpu_ns(), own_cpu_ns()} {}

  [[nodiscard]] usage used() const {
    return {now_ns() - start_.wall_ns, server_.cpu_ns() - start_.server_cpu_ns,
            own_cpu_ns() - start_.client_cpu_ns};
  }

 private:
  const process_account& server_;
  usage start_;
};

}  // namespace fairlead::bench
