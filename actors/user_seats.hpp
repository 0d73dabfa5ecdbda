#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

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

/// A seat that was taken: given back with this, unless it is kept.
class user_seat {
 public:
  user_seat() = default;  ///< none
  user_seat(user_seats& of, std::string user) noexcept : of_(&of), user_(std::move(user)) {}
  ~user_seat() {
    if (of_) of_->give_back(user_);
  }
  user_seat(user_seat&& other) noexcept
      : of_(std::exchange(other.of_, nullptr)), user_(std::move(other.user_)) {}
  user_seat& operator=(user_seat&& other) noexcept {
    std::swap(of_, other.of_);
    std::swap(user_, other.user_);
    return *this;
  }

  [[nodiscard]] explicit operator bool() const noexcept { return of_ != nullptr; }
  /// Somebody else will give it back.
  void keep() noexcept { of_ = nullptr; }

 private:
  user_seats* of_ = nullptr;
  std::string user_;
};

}  // namespace fairlead::actors
