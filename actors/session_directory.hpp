#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include <fairlead/session.hpp>

#include "actors/session_core.hpp"

namespace fairlead::actors {

struct environment;

/// Which sessions there are, on all loops together, and the last 1,000 that ended. Any thread. Touched when a session
/// begins or ends, when a socket attaches and when somebody looks, and by nothing that an emit does.
class session_directory {
 public:
  static constexpr std::size_t most_ended = 1'000;
  using core_ptr = std::shared_ptr<detail::session_core>;

  /// Takes over the types that may be spawned. Before anything else.
  void register_types(environment&);
  /// Spawns a session's actor, if all is well.
  [[nodiscard]] spawned_session spawn(environment&, const std::string& type, spawn_options);

  /// One that has not ended, or why it ended if that is still known.
  struct found {
    core_ptr session;
    std::shared_ptr<const ended_session> ended;
  };
  [[nodiscard]] found find(const std::string& id) const;
  [[nodiscard]] std::vector<core_ptr> all() const;
  /// Newest first.
  [[nodiscard]] std::vector<ended_session> ended() const;
  [[nodiscard]] std::size_t size() const;
  /// By name; the same for as long as the server lives.
  [[nodiscard]] const std::vector<std::shared_ptr<const registered_type>>& types() const noexcept {
    return types_;
  }

  /// From a session's actor, once.
  void remove(ended_session);
  /// Nobody is spawned from now on.
  void seal();

 private:
  [[nodiscard]] const std::shared_ptr<const registered_type>* type_of(const std::string&) const;

  std::vector<std::shared_ptr<const registered_type>> types_;  // sorted by name
  mutable std::mutex mutex_;                                   // guards what is below
  std::unordered_map<std::string, core_ptr> sessions_;
  std::deque<std::shared_ptr<const ended_session>> ended_;  // newest first
  std::unordered_map<std::string, std::shared_ptr<const ended_session>> ended_by_id_;
  std::size_t next_loop_ = 0;
  bool sealed_ = false;
};

}  // namespace fairlead::actors
