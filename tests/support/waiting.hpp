#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

/// Waiting for what other threads do: on the event itself where there is one, and never for ever.
namespace fairlead::test {

inline constexpr std::chrono::seconds longest_wait{10};

/// What other threads report, one by one.
template <class T>
class mailbox {
 public:
  void put(T what) {
    const std::lock_guard lock{mutex_};
    waiting_.push_back(std::move(what));
    changed_.notify_one();
  }
  /// The next one; throws if it does not come.
  T take() {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, longest_wait, [this] { return !waiting_.empty(); }))
      throw std::runtime_error{"waited in vain for a report"};
    auto first = std::move(waiting_.front());
    waiting_.pop_front();
    return first;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> waiting_;
};

/// Asks again and again, for what reports no event. False if it never holds.
template <class Condition>
bool eventually(Condition&& condition) {
  const auto end = std::chrono::steady_clock::now() + longest_wait;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace fairlead::test
