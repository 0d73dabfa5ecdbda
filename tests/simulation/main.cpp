// Runs the whole server, but for its sockets and its clock, by one random generator. The same seed is the same run.
//
//   fairlead_simulation [--seeds N] [--first S] [--steps K]     N runs; the first seed that breaks a promise is named
//   fairlead_simulation --seed S                                that one run, with everything that happens
//   fairlead_simulation_of_defects [--seeds N]                  plants each defect and tells how many seeds it took to find it
#define DOCTEST_CONFIG_IMPLEMENT
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "protocol/defect.hpp"
#include "tests/simulation/world.hpp"

namespace {

using fairlead::simulation::totals;
using fairlead::simulation::world;

/// What it broke; nothing if it broke nothing.
std::optional<std::string> run(std::uint64_t seed, std::size_t steps, bool traces, totals& all) {
  std::optional<std::string> broken;
  world w{seed, traces};
  try {
    all += w.run(steps);
  } catch (const std::exception& e) {
    broken = e.what();
  }
  for (const auto& line : w.trace()) fmt::print("{}\n", line);
  return broken;
}

#ifdef FAIRLEAD_DEFECTS
int find_defects(std::uint64_t first, std::uint64_t seeds, std::size_t steps) {
  using fairlead::protocol::defect_names;
  int missed = 0;
  for (std::size_t i = 1; i < defect_names.size(); ++i) {
    fairlead::protocol::planted_defect = static_cast<fairlead::protocol::defect>(i);
    std::optional<std::string> broken;
    totals all;
    auto seed = first;
    for (; seed < first + seeds && !broken; ++seed) broken = run(seed, steps, false, all);
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
  std::size_t steps = 300;
  std::optional<std::uint64_t> one;
  app.add_option("--seeds", seeds, "how many runs");
  app.add_option("--first", first, "the seed of the first");
  app.add_option("--steps", steps, "of each run");
  app.add_option("--seed", one, "this one only, with a trace");
  CLI11_PARSE(app, argc, argv);

#ifdef FAIRLEAD_DEFECTS
  return find_defects(first, seeds, steps);
#endif
  totals all;
  if (one) {
    const auto broken = run(*one, steps, true, all);
    fmt::print("seed {}: {}\n", *one, broken.value_or("every promise was kept"));
    return broken ? 1 : 0;
  }
  const auto began = std::chrono::steady_clock::now();
  for (auto seed = first; seed < first + seeds; ++seed) {
    if (const auto broken = run(seed, steps, false, all)) {
      fmt::print("seed {} (run {} of {}): {}\nsee it by --steps {} --seed {}\n", seed,
                 seed - first + 1, seeds, *broken, steps, seed);
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
