#include "bench/load/process.hpp"

#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "bench/load/options.hpp"

namespace fairlead::bench {

namespace {

std::uint64_t to_ns(const timespec& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(time.tv_nsec);
}

std::uint64_t clock_ns(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return to_ns(now);
}

/// Calls `visit(key, kb)` for every `key: N kB` line of a file under /proc.
template <class Visitor>
void each_kb(const std::string& path, Visitor&& visit) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string key;
    std::uint64_t kb = 0;
    if (words >> key >> kb) visit(key, kb);
  }
}

}  // namespace

process_account::process_account(pid_t pid) : root_(fmt::format("/proc/{}", pid)) {
  if (pid <= 0 || ::clock_getcpuclockid(pid, &clock_) != 0)
    throw load_error(fmt::format("there is no process {} (--pid)", pid));
}

std::uint64_t process_account::cpu_ns() const {
  timespec used{};
  if (::clock_gettime(clock_, &used) != 0)
    throw load_error(fmt::format("the server process ended ({})", root_));
  return to_ns(used);
}

memory_sample process_account::memory() const {
  memory_sample sample;
  // smaps_rollup walks the page tables, so it is exact; VmRSS lags behind by what each thread has not yet reported.
  each_kb(root_ + "/smaps_rollup", [&](const std::string& key, std::uint64_t kb) {
    if (key == "Rss:")
      sample.rss_kb = kb;
    else if (key == "Pss:")
      sample.pss_kb = kb;
    else if (key == "Private_Clean:" || key == "Private_Dirty:")
      sample.private_kb += kb;
  });
  each_kb(root_ + "/status", [&](const std::string& key, std::uint64_t kb) {
    if (key == "VmHWM:")
      sample.peak_rss_kb = kb;
    else if (key == "VmRSS:" && sample.rss_kb == 0)
      sample.rss_kb = kb;
  });
  return sample;
}

std::uint64_t own_cpu_ns() { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

std::uint64_t now_ns() { return clock_ns(CLOCK_MONOTONIC); }

}  // namespace fairlead::bench
