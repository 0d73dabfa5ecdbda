#include "bench/load/pool.hpp"
#include "bench/load/scenarios.hpp"
#include "bench/load/stamp.hpp"
#include "bench/load/window.hpp"

namespace fairlead::bench {

namespace {

constexpr int poll_ms = 100;
constexpr int settle_ms = 10;

class echo_run {
 public:
  echo_run(client_pool& pool, const echo_options& options)
      : pool_(pool), options_(options), frame_(options.payload), waiting_(options.connections) {}

  /// Keeps one message in flight on each connection until the window is over and all of them have come back.
  traffic run(window span) {
    seen_ = {};
    window_ = &span;
    for (std::size_t index = 0; index < waiting_.size(); ++index) launch(index);
    while (active_ != 0 && !span.stalled(seen_.deliveries)) pump(poll_ms);
    seen_.found.lost += std::exchange(active_, 0);
    for (auto& one : waiting_) one.stamp = 0;
    pump(settle_ms);  // a duplicate would come late; and the server returns to rest
    return seen_;
  }

 private:
  struct expected {
    std::uint64_t stamp = 0;  // 0: nothing is in flight
    std::uint64_t sent_at = 0;
  };

  void pump(int wait_ms) {
    pool_.pump(wait_ms,
               [this](std::size_t index, std::string_view payload) { on_message(index, payload); });
  }

  void launch(std::size_t index) {
    if (!window_->take()) return;
    ++active_;
    ++seen_.messages;
    waiting_[index] = {++last_stamp_, now_ns()};
    pool_[index].send(frame_.with(last_stamp_));
  }

  void on_message(std::size_t index, std::string_view payload) {
    auto& one = waiting_[index];
    const auto stamp = stamped_frame::read(payload, options_.payload);
    if (!stamp || *stamp > last_stamp_) {
      ++seen_.found.corrupt;
      return;
    }
    if (*stamp != one.stamp) {
      ++seen_.found.duplicates;
      return;
    }
    one.stamp = 0;
    --active_;
    ++seen_.deliveries;
    seen_.latency.record(pool_.received_at() - one.sent_at);
    launch(index);
  }

  client_pool& pool_;
  const echo_options& options_;
  stamped_frame frame_;
  std::vector<expected> waiting_;
  traffic seen_;
  window* window_ = nullptr;
  std::uint64_t last_stamp_ = 0;
  std::size_t active_ = 0;
};

}  // namespace

outcome run_echo(const target_options& target, const echo_options& options) {
  const process_account server(target.pid);
  client_pool pool(target);
  pool.open(options.connections);

  echo_run run(pool, options);
  const auto warmup = run.run(window(options.window.warmup, 0));
  const usage_meter meter(server);
  const auto seen = run.run(window(options.window.seconds, options.window.rounds));
  const auto used = meter.used();

  boost::json::object report{{"scenario", "echo"},
                             {"connections", options.connections},
                             {"payload", options.payload},
                             {"warmup_faults", describe(warmup.found)},
                             {"memory_after", describe(server.memory())}};
  describe(report, seen, used);
  return {std::move(report), warmup.found.none() && seen.found.none()};
}

}  // namespace fairlead::bench
