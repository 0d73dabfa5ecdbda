#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <benchmark/benchmark.h>

#include "protocol/account.hpp"
#include "protocol/machine.hpp"
#include "protocol/timer_wheel.hpp"
#include "protocol/utf8.hpp"
#include "protocol/wire.hpp"

namespace fairlead::protocol {
namespace {

// A program that has never started a thread counts references without atomics. Servers do not.
[[maybe_unused]] const bool threads_were_started = [] {
  std::jthread([] {});
  return true;
}();

/// One connection's part of a send, without the kernel's: machine, wire, and the report of what was written.
struct connection {
  state current = open{};
  wire out;

  connection() { out.handshake_done(); }

  void send_and_write(const chunk& what, const limits& bounds, effects& todo) {
    todo.clear();
    step(current, send{what}, bounds, {}, todo);
    if (!out.push(std::move(std::get<write>(todo.front()).what))) std::terminate();
    std::array<std::string_view, 16> buffers;
    benchmark::DoNotOptimize(out.gather(buffers));
    const auto made = out.consume(out.queued_bytes());
    step(current, written{made.messages, made.bytes}, bounds, {}, todo);
  }
};

/// The same frame to many connections in turn, as a broadcast does: the argument is how many.
void send_through_machine_and_wire(benchmark::State& run) {
  const limits bounds;
  const auto what = as_chunk(message::text(std::string(64, 'x')));
  std::vector<connection> all(static_cast<std::size_t>(run.range(0)));
  effects todo;
  for (std::size_t next = 0; auto _ : run) {
    all[next].send_and_write(what, bounds, todo);
    if (++next == all.size()) next = 0;
  }
  run.counters["sizeof(wire)"] = sizeof(wire);
  run.counters["sizeof(state)"] = sizeof(state);
}
BENCHMARK(send_through_machine_and_wire)->Arg(1)->Arg(1'000)->Arg(10'000);

void send_refused_while_closing(benchmark::State& run) {
  const limits bounds;
  const auto what = as_chunk(message::text("late"));
  state current = closing{};
  effects todo;
  for (auto _ : run) {
    todo.clear();
    step(current, send{what}, bounds, {}, todo);
    benchmark::DoNotOptimize(todo.data());
  }
}
BENCHMARK(send_refused_while_closing);

void burst_through_wire(benchmark::State& run) {
  const auto what = as_chunk(message::text(std::string(64, 'x')));
  wire out;
  out.handshake_done();
  for (auto _ : run) {
    for (auto left = run.range(0); left > 0; --left) {
      if (!out.push(what)) std::terminate();
    }
    out.consume(out.queued_bytes());
  }
  run.SetItemsProcessed(run.iterations() * run.range(0));
}
BENCHMARK(burst_through_wire)->Arg(2)->Arg(8)->Arg(64);

void account_add_and_release(benchmark::State& run) {
  account counted;
  for (auto _ : run) {
    benchmark::DoNotOptimize(counted.try_add(1, 66, 4096, 1 << 20));
    counted.release(1, 66);
  }
}
BENCHMARK(account_add_and_release)->ThreadRange(1, 2);

void make_message(benchmark::State& run) {
  const std::string payload(static_cast<std::size_t>(run.range(0)), 'x');
  for (auto _ : run) benchmark::DoNotOptimize(message::text(payload));
}
BENCHMARK(make_message)->Arg(0)->Arg(64)->Arg(4096);

/// Time-outs that are pushed back all the time and seldom come: the argument is how many there are.
void reschedule_timer(benchmark::State& run) {
  time_point now{};
  timer_wheel wheel(now);
  std::vector<std::unique_ptr<timer>> timers(static_cast<std::size_t>(run.range(0)));
  for (auto& t : timers) t = std::make_unique<timer>([] {});
  for (std::size_t next = 0; auto _ : run) {
    now += std::chrono::microseconds(10);
    wheel.schedule(*timers[next], now + std::chrono::seconds(5));
    wheel.advance(now);
    benchmark::DoNotOptimize(wheel.next());
    if (++next == timers.size()) next = 0;
  }
}
BENCHMARK(reschedule_timer)->Arg(1)->Arg(10'000);

void validate_utf8(benchmark::State& run) {
  std::string text;
  while (text.size() < 4096)
    text += run.range(0) == 0 ? "plain text " : "ни слова латиницей 🙂 ";
  for (auto _ : run) benchmark::DoNotOptimize(valid_utf8(text));
  run.SetBytesProcessed(run.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(validate_utf8)->Arg(0)->Arg(1);

}  // namespace
}  // namespace fairlead::protocol
