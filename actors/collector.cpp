#include "actors/collector.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "actors/connection_core.hpp"
#include "actors/messages.hpp"
#include "actors/pinned_actor.hpp"
#include "actors/session_messages.hpp"

namespace fairlead::actors {

namespace {

using std::chrono::milliseconds;
constexpr std::size_t closed_records_reported = 1000;

/// Gathers one `Result`. Reports exactly once: complete, at its deadline, or when it ends for another reason.
template <class Result>
class collector : public pinned_actor {
 public:
  collector(caf::actor_config& config, std::shared_ptr<loop_unit> unit, environment& env,
            milliseconds timeout, std::function<void(Result)> report)
      : pinned_actor(config, std::move(unit)),
        env_(env),
        timeout_(protocol::bounded_wait(timeout)),
        report_(std::move(report)),
        deadline_([this] { tell(self(), collect_deadline{}); }) {}

  ~collector() override {
    call_back(report_, std::move(result_));
  }  // never ran: its loop has stopped

  const char* name() const override { return "collector"; }

  caf::behavior make_behavior() final {
    return {[this](begin_collecting) {
              loop().schedule(deadline_, loop().now() + timeout_);
              ask_all();
              quit_if_complete();
            },
            [this](collect_deadline) { quit(); }};
  }

  void on_exit() final {
    deadline_.cancel();
    finish(result_);
    call_back(report_, std::move(result_));
  }

 protected:
  virtual void ask_all() = 0;
  /// Fills in what did not answer.
  virtual void finish(Result&) {}

  /// Asks one actor; `on_answer` gets its answer, if it comes, `on_gone` is called if it has ended instead.
  template <class Answer, class Question, class OnAnswer, class OnGone>
  void ask(const caf::strong_actor_ptr& whom, Question question, OnAnswer on_answer,
           OnGone on_gone) {
    ++awaited_;
    request(caf::actor_cast<caf::actor>(whom), caf::infinite, std::move(question))
        .then(
            [this, on_answer](Answer& a) mutable {
              on_answer(a);
              --awaited_;
              quit_if_complete();
            },
            [this, on_gone](caf::error&) mutable {
              on_gone();
              --awaited_;
              quit_if_complete();
            });
  }

  environment& env_;
  Result result_{};

 private:
  void quit_if_complete() {
    if (awaited_ == 0) quit();
  }

  const milliseconds timeout_;
  std::function<void(Result)> report_;
  protocol::timer deadline_;
  std::size_t awaited_ = 0;
};

class tree_collector final : public collector<tree_snapshot> {
  using collector::collector;

  void ask_all() override {
    result_.supervisor.name = "supervisor";
    result_.supervisor.answered = false;
    result_.rosters.resize(env_.loops.size());
    ask<tree_node>(
        env_.supervisor, view_supervisor{},
        [this](tree_node& n) { result_.supervisor = std::move(n); }, [] {});
    for (auto& here : env_.loops) {
      auto& place = result_.rosters[here.index];
      place.name = "roster-" + std::to_string(here.index);
      place.answered = false;
      ask<roster_view>(
          here.roster, view_roster{std::chrono::steady_clock::now()},
          [&place](roster_view& v) { place = std::move(v.node); }, [] {});
    }
  }

  void finish(tree_snapshot& r) override {
    for (const auto& roster : r.rosters) {
      r.supervisor.queued_bytes += roster.queued_bytes;
      for (std::size_t i = 0; i < roster.by_state.size(); ++i)
        r.supervisor.by_state[i] += roster.by_state[i];
    }
  }
};

class metrics_collector final : public collector<metrics_snapshot> {
  using collector::collector;

  void ask_all() override {
    began_ = std::chrono::steady_clock::now();
    result_.supervisor.answered = false;
    result_.loops.resize(env_.loops.size());
    ask<tree_node>(
        env_.supervisor, view_supervisor{},
        [this](tree_node& n) { result_.supervisor = std::move(n); }, [] {});
    for (auto& here : env_.loops) {
      auto& place = result_.loops[here.index];
      place.node.answered = false;
      ask<loop_snapshot>(
          here.roster, view_metrics{began_}, [&place](loop_snapshot& s) { place = std::move(s); },
          [] {});
    }
  }

  void finish(metrics_snapshot& r) override {
    for (auto& loop : r.loops)
      if (!loop.node.answered)
        loop.node.loop_lag = std::chrono::duration_cast<std::chrono::microseconds>(
            std::chrono::steady_clock::now() - began_);
  }

  std::chrono::steady_clock::time_point began_;
};

class connections_collector final : public collector<server_snapshot> {
  using collector::collector;

  void ask_all() override {
    for (auto& here : env_.loops) {
      silent_loops_.push_back(here.index);
      ask<roster_view>(
          here.roster, view_roster{std::chrono::steady_clock::now()},
          [this, index = here.index](roster_view& v) {
            std::erase(silent_loops_, index);
            for (const auto& who : v.connections) ask_connection(who);
          },
          [] {});
    }
  }

  void ask_connection(const core_ptr& who) {
    silent_.insert(who->id);
    ask<protocol::connection_snapshot>(
        who->actor, take_snapshot{},
        [this](protocol::connection_snapshot& s) {
          silent_.erase(s.id);
          result_.connections.push_back(std::move(s));
        },
        [this, id = who->id] { silent_.erase(id); });
  }

  void finish(server_snapshot& r) override {
    r.unanswered_loops = std::move(silent_loops_);
    r.unanswered.assign(silent_.begin(), silent_.end());
  }

  std::set<connection_id> silent_;  // asked, and neither answered nor gone
  std::vector<std::size_t> silent_loops_;
};

class connection_collector final : public collector<backbone::one_snapshot> {
 public:
  connection_collector(caf::actor_config& config, std::shared_ptr<loop_unit> unit, environment& env,
                       milliseconds timeout, std::function<void(backbone::one_snapshot)> report,
                       connection_id id)
      : collector(config, std::move(unit), env, timeout, std::move(report)), id_(id) {}

 private:
  void ask_all() override {
    if (id_.loop >= env_.loops.size()) return;
    result_.found = true;  // until its roster says otherwise
    ask<found_connection>(
        env_.loops[id_.loop].roster, find_connection{id_},
        [this](found_connection& f) {
          result_.found = f.who != nullptr;
          if (!f.who) return;
          ask<protocol::connection_snapshot>(
              f.who->actor, take_snapshot{},
              [this](protocol::connection_snapshot& s) {
                result_.answered = true;
                result_.snapshot = std::move(s);
              },
              [this] { result_.found = false; });
        },
        [this] { result_.found = false; });
  }

  const connection_id id_;
};

class closed_collector final : public collector<std::vector<protocol::closed_record>> {
  using collector::collector;

  void ask_all() override {
    for (auto& here : env_.loops)
      ask<closed_records>(
          here.roster, view_closed{},
          [this](closed_records& c) {
            result_.insert(result_.end(), std::make_move_iterator(c.records.begin()),
                           std::make_move_iterator(c.records.end()));
          },
          [] {});
  }

  void finish(std::vector<protocol::closed_record>& r) override {
    std::ranges::stable_sort(r, std::greater{}, &protocol::closed_record::ended);
    if (r.size() > closed_records_reported) r.resize(closed_records_reported);
  }
};

using const_session_ptr = std::shared_ptr<const detail::session_core>;

class sessions_collector final : public collector<backbone::sessions_snapshot> {
 public:
  sessions_collector(caf::actor_config& config, std::shared_ptr<loop_unit> unit, environment& env,
                     milliseconds timeout, std::function<void(backbone::sessions_snapshot)> report,
                     std::vector<const_session_ptr> whom)
      : collector(config, std::move(unit), env, timeout, std::move(report)),
        whom_(std::move(whom)) {}

 private:
  void ask_all() override {
    for (const auto& who : std::exchange(whom_, {})) {
      silent_.insert(who->id);
      ask<session_snapshot>(
          who->actor, take_session_snapshot{},
          [this](session_snapshot& s) {
            silent_.erase(s.id);
            result_.sessions.push_back(std::move(s));
          },
          [this, id = who->id] { silent_.erase(id); });
    }
  }

  void finish(backbone::sessions_snapshot& r) override {
    r.unanswered.assign(silent_.begin(), silent_.end());
  }

  std::vector<const_session_ptr> whom_;
  std::set<std::string> silent_;  // asked, and neither answered nor gone
};

template <class Collector, class... Args>
void collect(environment& env, Args&&... args) {
  tell(spawn_pinned<Collector>(env.side, env, std::forward<Args>(args)...), begin_collecting{});
}

}  // namespace

void collect_tree(environment& env, milliseconds timeout,
                  std::function<void(tree_snapshot)> report) {
  collect<tree_collector>(env, timeout, std::move(report));
}

void collect_metrics(environment& env, milliseconds timeout,
                     std::function<void(metrics_snapshot)> report) {
  collect<metrics_collector>(env, timeout, std::move(report));
}

void collect_connections(environment& env, milliseconds timeout,
                         std::function<void(server_snapshot)> report) {
  collect<connections_collector>(env, timeout, std::move(report));
}

void collect_connection(environment& env, connection_id id, milliseconds timeout,
                        std::function<void(backbone::one_snapshot)> report) {
  collect<connection_collector>(env, timeout, std::move(report), id);
}

void collect_sessions(environment& env, std::vector<const_session_ptr> whom, milliseconds timeout,
                      std::function<void(backbone::sessions_snapshot)> report) {
  collect<sessions_collector>(env, timeout, std::move(report), std::move(whom));
}

void collect_closed(environment& env, milliseconds timeout,
                    std::function<void(std::vector<protocol::closed_record>)> report) {
  collect<closed_collector>(env, timeout, std::move(report));
}

}  // namespace fairlead::actors
