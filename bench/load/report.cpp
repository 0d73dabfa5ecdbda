#include "bench/load/report.hpp"

#include <cmath>

namespace fairlead::bench {

namespace {

double ratio(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

double rounded(double value, double unit) { return std::round(value / unit) * unit; }

double microseconds(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1000; }

}  // namespace

boost::json::object describe(const memory_sample& memory) {
  return {{"rss_kb", memory.rss_kb},
          {"pss_kb", memory.pss_kb},
          {"private_kb", memory.private_kb},
          {"peak_rss_kb", memory.peak_rss_kb}};
}

boost::json::object describe(const faults& found) {
  return {{"lost", found.lost},
          {"duplicates", found.duplicates},
          {"reordered", found.reordered},
          {"corrupt", found.corrupt}};
}

void describe(boost::json::object& report, const traffic& seen, const usage& used) {
  report["seconds"] = static_cast<double>(used.wall_ns) / 1e9;
  report["messages"] = seen.messages;
  report["deliveries"] = seen.deliveries;
  report["deliveries_per_second"] = std::round(ratio(seen.deliveries, used.wall_ns) * 1e9);
  report["server_ns_per_delivery"] = rounded(ratio(used.server_cpu_ns, seen.deliveries), 0.125);
  report["client_ns_per_delivery"] = rounded(ratio(used.client_cpu_ns, seen.deliveries), 0.125);
  report["server_cpu_share"] = ratio(used.server_cpu_ns, used.wall_ns);
  report["client_cpu_share"] = ratio(used.client_cpu_ns, used.wall_ns);
  report["latency_us"] = boost::json::object{{"p50", microseconds(seen.latency.at(0.5))},
                                             {"p90", microseconds(seen.latency.at(0.9))},
                                             {"p99", microseconds(seen.latency.at(0.99))},
                                             {"p99.9", microseconds(seen.latency.at(0.999))},
                                             {"max", microseconds(seen.latency.largest())}};
  report["faults"] = describe(seen.found);
}

}  // namespace fairlead::bench
