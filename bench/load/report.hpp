#pragma once

#include <boost/json/object.hpp>

#include "bench/load/percentiles.hpp"
#include "bench/load/process.hpp"

namespace fairlead::bench {

/// What must be zero at the end of a run.
struct faults {
  std::uint64_t lost = 0;        ///< never arrived
  std::uint64_t duplicates = 0;  ///< arrived again
  std::uint64_t reordered = 0;   ///< arrived after a later message of the same sender
  std::uint64_t corrupt = 0;     ///< wrong length, or bytes that nobody sent

  [[nodiscard]] bool none() const noexcept { return lost + duplicates + reordered + corrupt == 0; }
};

/// The measured window of a scenario in which messages flow.
struct traffic {
  std::uint64_t messages = 0;    ///< sent
  std::uint64_t deliveries = 0;  ///< received; a broadcast to 1,000 connections is 1,000 of them
  percentiles latency;           ///< from send to receipt
  faults found;
};

boost::json::object describe(const memory_sample& memory);
boost::json::object describe(const faults& found);

/// Adds what every scenario with traffic reports: CPU per delivery, rates, latencies, faults.
void describe(boost::json::object& report, const traffic& seen, const usage& used);

/// How a scenario ended.
struct outcome {
  boost::json::object report;
  bool clean = true;  ///< nothing lost, duplicated, reordered or corrupt
};

}  // namespace fairlead::bench
