#include "actors/session_directory.hpp"

#include <algorithm>
#include <utility>

#include "actors/environment.hpp"
#include "actors/pinned_actor.hpp"
#include "actors/receipts.hpp"
#include "actors/session_actor.hpp"
#include "actors/session_messages.hpp"
#include "protocol/session_frames.hpp"
#include "protocol/session_options.hpp"

namespace fairlead::actors {

namespace {

constexpr std::size_t most_arguments = 64 * 1024, most_metadata = 16, most_metadata_bytes = 4'096;

/// What cannot be used, and what would be right; empty if nothing.
std::string problem_of(const spawn_options& o) {
  if (!protocol::valid_session_id(o.id))
    return "id: give 1 to 128 letters, digits, \".\", \"_\", \":\" or \"-\"; or none, and one is "
           "made up";
  if (o.arguments.size() > most_arguments) return "arguments: more than 64 KB";
  std::size_t bytes = 0;
  for (const auto& [name, value] : o.metadata) bytes += name.size() + value.size();
  if (o.metadata.size() > most_metadata || bytes > most_metadata_bytes)
    return "metadata: give at most 16 pairs of together 4,096 bytes";
  if (o.user.size() > 1'024) return "user: more than 1,024 bytes";
  return o.options ? protocol::session_options_problem(*o.options) : std::string{};
}

}  // namespace

void session_directory::register_types(environment& env) {
  for (const auto& [name, what] : env.options.session_types) {
    auto type = std::make_shared<registered_type>();
    type->name = name;
    type->what = what;
    type->options = std::make_shared<session_options>(what.options);
    type->valid_json = env.options.valid_json;
    type->bounds = env.bounds;
    type->without_gaps = protocol::make_terms({.policy = slow_policy::disconnect}, {});
    type->silent = std::make_shared<silent_receipt>(type->without_gaps);
    types_.push_back(std::move(type));
  }
}

const std::shared_ptr<const registered_type>*
session_directory::type_of(const std::string& name) const {
  const auto found = std::ranges::lower_bound(types_, name, {}, [](auto& t) { return t->name; });
  return found != types_.end() && (*found)->name == name ? &*found : nullptr;
}

spawned_session session_directory::spawn(environment& env, const std::string& type,
                                         spawn_options how) {
  const auto* const kind = type_of(type);
  if (!kind) return {.result = spawn_result::unknown_type};
  if (how.id.empty()) how.id = "s-" + env.options.make_token().substr(0, 22);
  if (auto problem = problem_of(how); !problem.empty())
    return {.result = spawn_result::invalid, .problem = std::move(problem)};
  auto token = env.options.make_token();

  const std::lock_guard lock{mutex_};
  if (sealed_) return {.result = spawn_result::shutting_down};
  if (const auto there = sessions_.find(how.id); there != sessions_.end())
    return {.result = spawn_result::exists, .session = session{there->second}};
  if (sessions_.size() >= env.limits().max_sessions) return {.result = spawn_result::too_many};
  auto& here = env.loops[next_loop_++ % env.loops.size()];
  auto core = std::make_shared<detail::session_core>(*kind, std::move(how));
  const auto place = sessions_.emplace(core->id, core).first;
  try {
    core->actor = spawn_pinned<session_actor>(here.unit, env, here, core);
    // In the lock: whoever seals this directory finds it enrolled.
    tell(env.supervisor, enroll_session{core});
    tell(core->actor, session_begin{token});
  } catch (...) {
    sessions_.erase(place);
    throw;
  }
  bump((*kind)->counts.spawned);
  return {.result = spawn_result::spawned,
          .session = session{std::move(core)},
          .token = std::move(token)};
}

session_directory::found session_directory::find(const std::string& id) const {
  const std::lock_guard lock{mutex_};
  if (const auto there = sessions_.find(id); there != sessions_.end()) return {there->second, {}};
  const auto was = ended_by_id_.find(id);
  return {nullptr, was == ended_by_id_.end() ? nullptr : was->second};
}

std::vector<session_directory::core_ptr> session_directory::all() const {
  const std::lock_guard lock{mutex_};
  std::vector<core_ptr> list;
  list.reserve(sessions_.size());
  for (const auto& [id, core] : sessions_) list.push_back(core);
  return list;
}

std::vector<ended_session> session_directory::ended() const {
  const std::lock_guard lock{mutex_};
  std::vector<ended_session> list;
  list.reserve(ended_.size());
  for (const auto& one : ended_) list.push_back(*one);
  return list;
}

std::size_t session_directory::size() const {
  const std::lock_guard lock{mutex_};
  return sessions_.size();
}

void session_directory::remove(ended_session gone) {
  auto record = std::make_shared<const ended_session>(std::move(gone));
  const std::lock_guard lock{mutex_};
  sessions_.erase(record->id);
  ended_by_id_.insert_or_assign(record->id, record);
  ended_.push_front(std::move(record));
  if (ended_.size() <= most_ended) return;
  // An id may have been used again: then the newer record stays.
  const auto oldest = std::move(ended_.back());
  ended_.pop_back();
  const auto by_id = ended_by_id_.find(oldest->id);
  if (by_id != ended_by_id_.end() && by_id->second == oldest) ended_by_id_.erase(by_id);
}

void session_directory::seal() {
  const std::lock_guard lock{mutex_};
  sealed_ = true;
}

}  // namespace fairlead::actors
