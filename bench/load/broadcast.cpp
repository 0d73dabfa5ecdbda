#include <algorithm>

#include "bench/load/pool.hpp"
#include "bench/load/scenarios.hpp"
#include "bench/load/stamp.hpp"
#include "bench/load/window.hpp"

namespace fairlead::bench {

namespace {

constexpr int poll_ms = 100;
constexpr int settle_ms = 10;
constexpr std::size_t fill_payload = 32 * 1024;
constexpr std::size_t most_fill_messages = 5000;  // more than a queue takes
constexpr double fill_seconds = 600;  // it ends by its size, or by the time-out of the whole run

/// One broadcast on its way: who has it and who has not.
struct in_flight {
  std::uint64_t sequence = 0;  // in the order of sending, over all senders
  std::uint64_t sent_at = 0;
  std::size_t sender = 0;
  std::size_t missing = 0;
  std::vector<bool> received;
};

class broadcast_run {
 public:
  broadcast_run(client_pool& pool, const broadcast_options& options)
      : pool_(pool),
        options_(options),
        frame_(options.payload),
        slots_(options.in_flight),
        latest_(options.connections * options.senders) {}

  /// Keeps K broadcasts in flight until the window is over and all of them have arrived.
  traffic run(window span) {
    seen_ = {};
    window_ = &span;
    for (std::size_t slot = 0; slot < slots_.size(); ++slot) launch(slot);
    while (active_ != 0 && !span.stalled(seen_.deliveries)) pump(poll_ms);
    for (auto& slot : slots_) seen_.found.lost += std::exchange(slot.missing, 0);
    active_ = 0;
    pump(settle_ms);  // a duplicate would come late; and the server returns to rest
    return seen_;
  }

 private:
  // A stamp is the sequence number and, in its low bits, the slot that holds the account of this broadcast.
  static constexpr unsigned slot_bits = 16;

  void pump(int wait_ms) {
    pool_.pump(wait_ms,
               [this](std::size_t index, std::string_view payload) { on_message(index, payload); });
  }

  void launch(std::size_t at) {
    if (!window_->take()) return;
    auto& slot = slots_[at];
    slot.sequence = ++last_sequence_;
    slot.sender = (at + slots_.size() * slot.sequence) % options_.senders;
    slot.missing = options_.connections;
    slot.received.assign(options_.connections, false);
    slot.sent_at = now_ns();
    ++active_;
    ++seen_.messages;
    pool_[slot.sender].send(frame_.with(slot.sequence << slot_bits | at));
  }

  void on_message(std::size_t index, std::string_view payload) {
    const auto stamp = stamped_frame::read(payload, options_.payload);
    const auto at = static_cast<std::size_t>(stamp.value_or(0) & ((1U << slot_bits) - 1));
    const auto sequence = stamp.value_or(0) >> slot_bits;
    if (!stamp || at >= slots_.size() || sequence > slots_[at].sequence) {
      ++seen_.found.corrupt;
      return;
    }
    auto& slot = slots_[at];
    if (sequence < slot.sequence ||
        slot.received[index]) {  // complete already, or received here already
      ++seen_.found.duplicates;
      return;
    }
    slot.received[index] = true;
    auto& latest = latest_[index * options_.senders + slot.sender];
    if (sequence < latest) ++seen_.found.reordered;
    latest = std::max(latest, sequence);
    ++seen_.deliveries;
    seen_.latency.record(pool_.received_at() - slot.sent_at);
    if (slot.missing != 0 && --slot.missing == 0) {
      --active_;
      launch(at);
    }
  }

  client_pool& pool_;
  const broadcast_options options_;
  stamped_frame frame_;
  std::vector<in_flight> slots_;
  std::vector<std::uint64_t>
      latest_;  // by connection and sender: the last sequence number that arrived
  traffic seen_;
  window* window_ = nullptr;
  std::uint64_t last_sequence_ = 0;
  std::size_t active_ = 0;
};

/// Fills what waits for those who never read, so that each further message meets a queue without room: the kernel's
/// buffers by large messages, then the queue, in place of those, by messages as they are measured. True: nothing was lost.
bool fill(client_pool& pool, broadcast_options options) {
  if (options.fill == 0) return true;
  auto large = options;
  large.payload = fill_payload;
  large.in_flight = large.senders = 1;
  const auto messages = std::min(most_fill_messages, options.fill / options.payload);
  options.in_flight = 64;
  options.senders = 1;
  return broadcast_run(pool, large)
             .run(window(fill_seconds, options.fill / fill_payload))
             .found.none() &&
         broadcast_run(pool, options).run(window(fill_seconds, messages)).found.none();
}

}  // namespace

outcome run_broadcast(const target_options& target, const broadcast_options& options) {
  const process_account server(target.pid);
  client_pool pool(target);
  pool.open(options.connections);
  pool.open(options.silent_readers, client::role::silent);

  const bool filled = fill(pool, options);

  broadcast_run run(pool, options);
  const auto warmup = run.run(window(options.window.warmup, 0));
  const auto before = server.memory();
  const usage_meter meter(server);
  const auto seen = run.run(window(options.window.seconds, options.window.rounds));
  const auto used = meter.used();

  boost::json::object report{{"scenario", "broadcast"},
                             {"connections", options.connections},
                             {"payload", options.payload},
                             {"in_flight", options.in_flight},
                             {"senders", options.senders},
                             {"silent_readers", options.silent_readers},
                             {"silent_disconnected", pool.silent_lost()},
                             {"warmup_faults", describe(warmup.found)},
                             {"memory_before", describe(before)},
                             {"memory_after", describe(server.memory())}};
  describe(report, seen, used);
  return {std::move(report), filled && warmup.found.none() && seen.found.none()};
}

}  // namespace fairlead::bench
