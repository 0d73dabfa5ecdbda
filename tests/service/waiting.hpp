#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace fairlead::test {

/// What handlers on other threads report, for a test to wait for.
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
    if (!changed_.wait_for(lock, std::chrono::seconds{10}, [this] { return !waiting_.empty(); })) {
      throw std::runtime_error{"waited in vain"};
    }
    auto first = std::move(waiting_.front());
    waiting_.erase(waiting_.begin());
    return first;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<T> waiting_;
};

/// Asks again and again; for what reports no event. False if it never holds.
template <class Condition>
bool eventually(Condition&& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace fairlead::test
