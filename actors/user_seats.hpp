#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_map>

namespace fairlead::actors {

/// How many connections each user has, on all loops together. Any thread. Touched when a connection begins or ends, and
/// by nothing that a message does.
class user_seats {
 public:
  /// One more, if there are fewer than `most`.
  [[nodiscard]] bool take(const std::string& user, std::size_t most) {
    const std::lock_guard lock{mutex_};
    const auto place = taken_.try_emplace(user).first;
    if (place->second < most) {
      ++place->second;
      return true;
    }
    if (place->second == 0) taken_.erase(place);
    return false;
  }
  void give_back(const std::string& user) noexcept {
    const std::lock_guard lock{mutex_};
    const auto place = taken_.find(user);
    if (place != taken_.end() && --place->second == 0) taken_.erase(place);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::size_t> taken_;  // no zeros
};

}  // namespace fairlead::actors
