#include "bench/load/pool.hpp"
#include "bench/load/scenarios.hpp"

namespace fairlead::bench {

namespace {

constexpr int slice_ms = 100;
constexpr int slices_of_rest = 3;
// Some servers never rest (a timer, a collector): after this long what there is has to do.
constexpr int most_slices = 50;

/// Waits until the server uses less than 1 % of a core.
bool wait_until_quiet(client_pool& pool, const process_account& server) {
  int quiet = 0;
  for (int slice = 0; slice < most_slices; ++slice) {
    const usage_meter meter(server);
    const auto end = now_ns() + slice_ms * 1'000'000ULL;
    while (now_ns() < end) pool.pump(slice_ms, [](std::size_t, std::string_view) {});
    const auto used = meter.used();
    quiet = used.server_cpu_ns * 100 < used.wall_ns ? quiet + 1 : 0;
    if (quiet == slices_of_rest) return true;
  }
  return false;
}

}  // namespace

outcome run_idle(const target_options& target, const idle_options& options) {
  const process_account server(target.pid);
  client_pool pool(target);
  wait_until_quiet(pool, server);

  const auto before = server.memory();
  const usage_meter meter(server);
  pool.open(options.connections);
  const auto opening = meter.used();
  const bool quiet = wait_until_quiet(pool, server);
  const auto used = meter.used();
  const auto after = server.memory();

  const auto count = static_cast<double>(options.connections);
  const auto growth = [count](std::uint64_t from, std::uint64_t to) {
    return (static_cast<double>(to) - static_cast<double>(from)) * 1024 / count;
  };
  return {{{"scenario", "idle"},
           {"connections", options.connections},
           {"opening_seconds", static_cast<double>(opening.wall_ns) / 1e9},
           {"became_quiet", quiet},
           {"rss_bytes_per_connection", growth(before.rss_kb, after.rss_kb)},
           {"private_bytes_per_connection", growth(before.private_kb, after.private_kb)},
           {"server_us_per_open", static_cast<double>(used.server_cpu_ns) / 1000 / count},
           {"client_us_per_open", static_cast<double>(used.client_cpu_ns) / 1000 / count},
           {"memory_before", describe(before)},
           {"memory_after", describe(after)}},
          true};
}

}  // namespace fairlead::bench
