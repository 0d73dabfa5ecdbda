// Runs the whole server, but for its sockets and its clock, by one random generator. The same seed is the same run.
//
//   fairlead_simulation [--seeds N] [--first S] [--steps K]     N runs; the first seed that breaks a promise is named
//   fairlead_simulation --seed S                                that one run: each step, and what came of it, as it happens
//   fairlead_simulation_of_defects [--seeds N]                  plants each defect and tells how many seeds it took to find it
//
// A run that ends the process is named on standard error, with how to run it again.
#define DOCTEST_CONFIG_IMPLEMENT
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "protocol/defect.hpp"
#include "tests/simulation/crash_note.hpp"
#include "tests/simulation/world.hpp"

namespace {

namespace crash_note = fairlead::simulation::crash_note;
using fairlead::simulation::totals;
using fairlead::simulation::world;

/// How a run is to be.
struct settings {
  std::size_t steps = 300;
  bool traces = false;
  std::string program, planted;
  // For the test of what is said then: the seed whose run ends the process, half-way, and how.
  std::optional<std::uint64_t> crash_in;
  std::string crash_by;
};

void note_for_a_crash(std::uint64_t seed, const settings& how, std::string_view broken) {
  const auto again = fmt::format("--steps {} --seed {}", how.steps, seed);
  crash_note::set(
      fmt::format("seed {}{} ended the process{}{}\nrun it again, by this build: {} {}\n"
                  "or by the optimised one:     ./dev simulate {}",
                  seed, how.planted, broken.empty() ? "" : "; before that: ", broken, how.program,
                  again, again));
}

void crash(const std::string& by) {
  if (by == "fault") std::raise(SIGSEGV);
  if (by == "throw") throw 1;  // no std::exception: nobody catches it
  std::abort();
}

/// What it broke; nothing if it broke nothing.
std::optional<std::string> run(std::uint64_t seed, const settings& how, totals& all) {
  note_for_a_crash(seed, how, {});
  std::function<void(std::uint64_t)> before_step;
  if (how.crash_in == seed)
    before_step = [&](std::uint64_t step) {
      if (step == how.steps / 2) crash(how.crash_by);
    };
  std::optional<std::string> broken;
  world w{seed, how.traces};
  try {
    all += w.run(how.steps, before_step);
  } catch (const std::exception& e) {
    broken = e.what();
    note_for_a_crash(seed, how, *broken);  // a world that is broken may not come to its end
  }
  return broken;
}

#ifdef FAIRLEAD_DEFECTS
int find_defects(std::uint64_t first, std::uint64_t seeds, settings how) {
  using fairlead::protocol::defect_names;
  int missed = 0;
  for (std::size_t i = 1; i < defect_names.size(); ++i) {
    fairlead::protocol::planted_defect = static_cast<fairlead::protocol::defect>(i);
    how.planted = fmt::format(" with {} planted", defect_names[i]);
    std::optional<std::string> broken;
    totals all;
    auto seed = first;
    for (; seed < first + seeds && !broken; ++seed) broken = run(seed, how, all);
    missed += !broken;
    fmt::print("{:<16} {:>6} seeds: {}\n", defect_names[i], seed - first,
               broken.value_or("NOT FOUND"));
  }
  return missed > 0 ? 1 : 0;
}
#endif

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"A simulation of the whole server: every seed is another run."};
  std::uint64_t seeds = 1'000, first = 1;
  settings how;
  how.program = argv[0];
  std::optional<std::uint64_t> one;
  app.add_option("--seeds", seeds, "how many runs");
  app.add_option("--first", first, "the seed of the first");
  app.add_option("--steps", how.steps, "of each run");
  app.add_option("--seed", one, "this one only, with a trace");
  app.add_option("--crash-in", how.crash_in)->group("");  // not in the help
  app.add_option("--crash-by", how.crash_by)->group("");
  CLI11_PARSE(app, argc, argv);
  crash_note::watch();

#ifdef FAIRLEAD_DEFECTS
  return find_defects(first, seeds, how);
#endif
  totals all;
  if (one) {
    how.traces = true;
    const auto broken = run(*one, how, all);
    fmt::print("seed {}: {}\n", *one, broken.value_or("every promise was kept"));
    return broken ? 1 : 0;
  }
  const auto began = std::chrono::steady_clock::now();
  for (auto seed = first; seed < first + seeds; ++seed) {
    if (const auto broken = run(seed, how, all)) {
      fmt::print("seed {} (run {} of {}): {}\nsee it by --steps {} --seed {}\n", seed,
                 seed - first + 1, seeds, *broken, how.steps, seed);
      return 1;
    }
  }
  const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  fmt::print(
      "{} seeds, {} steps: every promise was kept ({:.1f} s)\n"
      "{} sockets; {} messages, of which {} were written; {} sessions, {} events, {} attaches\n",
      seeds, all.steps, took, all.links, all.messages, all.written, all.sessions, all.events,
      all.attaches);
  return 0;
}
