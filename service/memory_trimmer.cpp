#include "service/memory_trimmer.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace fairlead::service {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds look_every{250};

void trim() noexcept {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace

bool trim_watch::due(std::size_t held, time_point now) noexcept {
  peak_ = std::max(peak_, held);
  if (peak_ - held < least || held > peak_ / 2 || now < next_) return false;
  peak_ = held;
  next_ = now + interval;
  return true;
}

memory_trimmer::memory_trimmer(std::function<std::size_t()> held, log& out)
    : thread_{[this, held = std::move(held), &out] { run(held, out); }} {}

memory_trimmer::~memory_trimmer() {
  {
    const std::lock_guard lock{mutex_};
    over_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void memory_trimmer::run(const std::function<std::size_t()>& held, log& out) {
  trim_watch watch;
  std::unique_lock lock{mutex_};
  while (!wake_.wait_for(lock, look_every, [this] { return over_; })) {
    const auto before = watch.peak();
    const auto now = held();
    if (!watch.due(now, steady_clock::now())) continue;
    const auto began = steady_clock::now();
    trim();
    const auto took =
        std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - began);
    out(severity::debug, "memory.trimmed",
        {{"peak_bytes", std::uint64_t{before}},
         {"held_bytes", std::uint64_t{now}},
         {"took_us", std::int64_t{took.count()}}});
  }
}

}  // namespace fairlead::service
