#include "actors/backbone.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "actors/caf.hpp"
#include "actors/caf_access.hpp"
#include "actors/collector.hpp"
#include "actors/connection_actor.hpp"
#include "actors/connection_core.hpp"
#include "actors/environment.hpp"
#include "actors/fan_out.hpp"
#include "actors/mailbox_observer.hpp"
#include "actors/queue_budget.hpp"
#include "actors/roster.hpp"
#include "actors/secret.hpp"
#include "actors/session_messages.hpp"
#include "actors/supervisor.hpp"

namespace fairlead::actors {

namespace {

class silent_log final : public log {
 public:
  bool enabled(severity) const noexcept override { return false; }
  void write(severity, std::string_view, std::span<const log_field>) noexcept override {}
};

backbone_options complete(backbone_options o) {
  if (!o.logger) o.logger = std::make_shared<silent_log>();
  if (!o.hits) o.hits = std::make_shared<protocol::limit_hits>();
  if (!o.make_token) o.make_token = &make_secret;
  if (!o.valid_json) o.valid_json = [](std::string_view) { return true; };
  return o;
}

/// Our actors live on our loops. CAF's own scheduler is for the embedder's; "sharing" sleeps while it has nothing to do.
caf::actor_system_config quiet_config(unsigned threads) {
  caf::actor_system_config config;
  config.set("scheduler.max-threads", threads);
  config.set("scheduler.policy", caf::atom("sharing"));
  return config;
}

template <class Sink, class Callback, class... Args>
std::shared_ptr<Sink> sink_for(Callback&& done, Args&&... args) {
  return done ? std::make_shared<Sink>(std::forward<Callback>(done), std::forward<Args>(args)...)
              : nullptr;
}

}  // namespace

class backbone::impl {
 public:
  explicit impl(backbone_options o)
      : config(quiet_config(o.actor_threads)), system(config), env(system, complete(std::move(o))) {
    const auto& loops = env.options.loops;
    for (std::size_t i = 0; i < loops.size(); ++i) {
      auto& here = env.loops.emplace_back();
      here.index = i;
      here.unit = std::make_shared<loop_unit>(system, loops[i]);
    }
    env.side = std::make_shared<loop_unit>(system, env.options.side);
    for (auto& here : env.loops) {
      here.roster = spawn_pinned<roster>(here.unit, env, here);
      here.unit->put_first(here.roster);
    }
    env.sessions.register_types(env);
    env.supervisor = spawn_pinned<supervisor>(env.loops[0].unit, env);
    env.loops[0].unit->put_first(env.supervisor);
  }

  ~impl() { system.await_all_actors_done(); }

  caf::actor_system_config config;
  caf::actor_system system;
  environment env;
};

backbone::backbone(backbone_options o) : impl_(std::make_unique<impl>(std::move(o))) {}
backbone::~backbone() = default;

std::optional<user_seat> backbone::reserve(const std::string& user) {
  auto& env = impl_->env;
  if (user.empty()) return user_seat{};
  auto name = user;  // what may throw comes first
  if (env.seats.take(user, env.limits().max_connections_per_user))
    return user_seat{env.seats, std::move(name)};
  env.count(protocol::limit_hit::connections_per_user);
  return std::nullopt;
}

connection backbone::connect(std::size_t loop, std::shared_ptr<protocol::link> link,
                             connection_seed seed) {
  auto& env = impl_->env;
  auto& here = env.loops[loop];
  if (here.refusing) return {};
  if (!seed.seat && !seed.user.empty()) {
    auto name = seed.user;
    static_cast<void>(env.seats.take(seed.user, SIZE_MAX));
    seed.seat = user_seat{env.seats, std::move(name)};
  }
  const auto& bounds = env.limits();  // may be others a moment later
  const auto serial = impl_->system.next_actor_id();
  auto core = std::make_shared<detail::connection_core>(
      connection_id{static_cast<std::uint16_t>(loop), serial}, std::move(seed.peer),
      std::move(seed.user), std::move(seed.target), bounds, env.options.hits, env.unmet);
  core->of_session = seed.attach != nullptr;
  core->attach = std::move(seed.attach);
  core->ticket = std::move(seed.ticket);
  core->actor = spawn_pinned_as<connection_actor>(serial, here.unit, env, here, bounds, core, link);
  ++here.enrolling;
  tell(here.roster, enroll{core});
  seed.seat.keep();  // from now on it is the roster that gives it back
  link->open(std::make_unique<mailbox_observer>(*core));
  return connection{std::move(core)};
}

bool backbone::broadcast(message what, std::vector<connection_id> except) {
  return broadcast(std::move(what), std::move(except), send_options{}, {});
}

void backbone::broadcast(message what, std::vector<connection_id> except, broadcast_callback done) {
  broadcast(std::move(what), std::move(except), send_options{}, std::move(done));
}

bool backbone::broadcast(message what, std::vector<connection_id> except, const send_options& how,
                         broadcast_callback done) {
  return submit(impl_->env, std::move(what), std::move(except), how,
                sink_for<summary_sink>(std::move(done), how.refused_ids));
}

bool backbone::send_to_user(std::string user, message what, broadcast_callback done) {
  return send_to_user(std::move(user), std::move(what), send_options{}, std::move(done));
}

bool backbone::send_to_user(std::string user, message what, const send_options& how,
                            broadcast_callback done) {
  auto asked = sink_for<user_summary_sink>(std::move(done), how.refused_ids);
  if (auto permit = permit_for_user(impl_->env, what)) {
    tell(impl_->env.supervisor, send_user{std::move(user), std::move(what), std::move(asked),
                                          std::move(permit), terms_for(impl_->env, how)});
    return true;
  }
  broadcast_summary refused;
  refused.add(send_result::overflow);
  if (asked) asked->add(refused);
  return false;
}

void backbone::close_user(std::string user, close_code code, std::string reason,
                          std::function<void(std::size_t)> done) {
  tell(impl_->env.supervisor, actors::close_user{std::move(user), code, std::move(reason),
                                                 sink_for<close_count>(std::move(done))});
}

bool backbone::send(connection_id id, message what, send_callback done) {
  return send(id, std::move(what), send_options{}, std::move(done));
}

bool backbone::send(connection_id id, message what, const send_options& how, send_callback done) {
  auto terms = terms_for(impl_->env, how);
  auto asked = done || terms
                   ? std::make_shared<send_receipt>(std::move(done), nullptr, std::move(terms))
                   : nullptr;
  if (auto permit = permit_for(impl_->env, what)) {
    // A loop that is not there: any roster says that it does not know this id, and counts it.
    const auto loop = id.loop < impl_->env.loops.size() ? id.loop : 0;
    tell(impl_->env.loops[loop].roster,
         send_to_id{id, std::move(what), std::move(asked), std::move(permit)});
    return true;
  }
  if (asked) asked->settle(send_result::overflow);
  return false;
}

void backbone::remove(connection_id id, close_code code, std::string reason, close_callback done) {
  auto asked = sink_for<close_sink>(std::move(done));
  if (id.loop < impl_->env.loops.size())
    return tell(impl_->env.loops[id.loop].roster,
                close_id{id, code, std::move(reason), std::move(asked)});
  if (asked) asked->settle(close_result::no_such_connection);
}

std::size_t backbone::connection_count() const noexcept { return impl_->env.connections; }

void backbone::set_limits(const fairlead::limits& bounds) {
  impl_->env.bounds->set(bounds);
  for (auto& here : impl_->env.loops) tell(here.roster, limits_changed{});
}
const fairlead::limits& backbone::limits() const noexcept { return impl_->env.limits(); }

void backbone::take_tree(milliseconds timeout, std::function<void(tree_snapshot)> report) {
  collect_tree(impl_->env, timeout, std::move(report));
}

void backbone::take_metrics(milliseconds timeout, std::function<void(metrics_snapshot)> report) {
  collect_metrics(impl_->env, timeout, std::move(report));
}

void backbone::take_connections(milliseconds timeout, std::function<void(server_snapshot)> report) {
  collect_connections(impl_->env, timeout, std::move(report));
}

void backbone::take_connection(connection_id id, milliseconds timeout,
                               std::function<void(one_snapshot)> report) {
  collect_connection(impl_->env, id, timeout, std::move(report));
}

void backbone::take_closed(milliseconds timeout,
                           std::function<void(std::vector<protocol::closed_record>)> report) {
  collect_closed(impl_->env, timeout, std::move(report));
}

spawned_session backbone::spawn_session(const std::string& type, spawn_options how) {
  return impl_->env.sessions.spawn(impl_->env, type, std::move(how));
}

session backbone::find_session(const std::string& id) const {
  return session{impl_->env.sessions.find(id).session};
}

std::shared_ptr<const ended_session> backbone::find_ended_session(const std::string& id) const {
  return impl_->env.sessions.find(id).ended;
}

std::vector<ended_session> backbone::ended_sessions() const { return impl_->env.sessions.ended(); }

std::size_t backbone::session_count() const { return impl_->env.sessions.size(); }
std::size_t backbone::stream_bytes() const noexcept { return impl_->env.streams.total(); }
std::size_t backbone::queued_bytes() const noexcept { return actors::queued_bytes(impl_->env); }

void backbone::read_inbox(const std::string& id, std::uint64_t after, std::size_t limit,
                          milliseconds wait, std::string epoch,
                          std::function<void(inbox_page)> done) {
  const auto found = impl_->env.sessions.find(id);
  auto asked = std::make_shared<inbox_sink>(std::move(done));
  if (found.session)
    return tell(found.session->actor, actors::read_inbox{after, limit, protocol::bounded_wait(wait),
                                                         std::move(epoch), std::move(asked)});
  inbox_page page;
  page.found = page.ended = found.ended != nullptr;
  if (found.ended) page.unread = found.ended->unread;
  asked->answer(std::move(page));
}

std::vector<session> backbone::sessions() const {
  std::vector<session> all;
  for (auto& core : impl_->env.sessions.all()) all.emplace_back(std::move(core));
  return all;
}

void backbone::take_sessions(const std::vector<session>& whom, milliseconds timeout,
                             std::function<void(sessions_snapshot)> report) {
  std::vector<std::shared_ptr<const detail::session_core>> cores;
  for (const auto& one : whom)
    if (one) cores.push_back(one.core());
  collect_sessions(impl_->env, std::move(cores), timeout, std::move(report));
}

const std::vector<std::shared_ptr<const registered_type>>&
backbone::session_types() const noexcept {
  return impl_->env.sessions.types();
}

void backbone::drain(drain_options how, std::function<void()> closing,
                     std::function<void(shutdown_summary)> done) {
  tell(impl_->env.supervisor,
       begin_drain{std::move(how), std::move(closing),
                   std::make_shared<const stop_sink>(std::move(done), impl_->env.stopped)});
}

drain_progress backbone::drain_state() const noexcept {
  const auto& now = impl_->env.drain;
  return {.phase = now.phase,
          .connections = now.connections,
          .asked = now.asked,
          .closed = now.closed,
          .aborted = now.aborted,
          .left = impl_->env.connections};
}

void backbone::stop(milliseconds deadline, close_code code, std::string reason,
                    std::function<void(shutdown_summary)> done) {
  tell(impl_->env.supervisor,
       actors::stop{deadline, code, std::move(reason),
                    std::make_shared<const stop_sink>(std::move(done), impl_->env.stopped)});
}

caf::actor caf_access::supervisor(const backbone& b) {
  return caf::actor_cast<caf::actor>(b.impl_->env.supervisor);
}

caf::actor caf_access::roster(const backbone& b, std::size_t loop) {
  return caf::actor_cast<caf::actor>(b.impl_->env.loops[loop].roster);
}

caf::actor_system& caf_access::system(const backbone& b) { return b.impl_->system; }

}  // namespace fairlead::actors
