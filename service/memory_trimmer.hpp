#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>

#include <fairlead/log.hpp>

namespace fairlead::service {

/// When memory is to be given back to the system: what is held has fallen by half, and by enough to be worth it. Pure.
class trim_watch {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr std::size_t least = std::size_t{16} << 20;  ///< a smaller fall is not worth it
  static constexpr std::chrono::seconds interval{10};          ///< between two, at least

  /// Told from time to time how many bytes are held. True: now.
  [[nodiscard]] bool due(std::size_t held, time_point now) noexcept;
  [[nodiscard]] std::size_t peak() const noexcept { return peak_; }  ///< since it was last due

 private:
  std::size_t peak_ = 0;
  time_point next_{};
};

/// Gives memory back to the system after a wave of slow readers.
///
/// glibc's allocator keeps what lies freed between chunks that live on, for good. Giving it back locks one arena after the
/// other, so it is rare (`trim_watch`), and on a thread of its own. The program's, not the library's: what an
/// embedder's allocator is and when it may be locked is the embedder's.
class memory_trimmer {
 public:
  /// `held` is called on the thread.
  memory_trimmer(std::function<std::size_t()> held, log&);
  ~memory_trimmer();
  memory_trimmer(const memory_trimmer&) = delete;
  memory_trimmer& operator=(const memory_trimmer&) = delete;

 private:
  void run(const std::function<std::size_t()>& held, log&);

  std::mutex mutex_;
  std::condition_variable wake_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace fairlead::service
