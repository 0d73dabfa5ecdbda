#include "actors/companion.hpp"

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

#include "actors/connection_core.hpp"
#include "actors/messages.hpp"

namespace fairlead::actors {

namespace {

class companion final : public pinned_actor {
 public:
  companion(caf::actor_config& config, std::shared_ptr<loop_unit> unit, environment& env,
            loop_context& here, std::unique_ptr<behavior> what, bool serves_one)
      : pinned_actor(config, std::move(unit)),
        env_(env),
        here_(here),
        what_(std::move(what)),
        serves_one_(serves_one) {
    ++here_.behaviors;
  }

  const char* name() const override { return "companion"; }

  caf::behavior make_behavior() override {
    return {
        [this](const companion_received& m) {
          handled_by(m.who, m.what);
          guarded("received", [&] { what_->received(connection{m.who}, m.what); });
        },
        [this](const companion_opened& m) {
          serving_.push_back({m.who, 0});
          guarded("opened", [&] { what_->opened(connection{m.who}); });
        },
        [this](const companion_closed& m) {
          std::erase_if(serving_, [&](const served& s) { return s.who == m.who; });
          guarded("closed", [&] { what_->closed(connection{m.who}, m.info); });
          if (serves_one_) quit();
        },
        [this](retire) { quit(); },
    };
  }

  void after_run() override {
    for (auto& s : serving_)
      if (s.handled > 0) tell(s.who->actor, handled{std::exchange(s.handled, 0)});
  }

  void on_crash(std::string_view what) override {
    env_.logger()(severity::error, "behavior.crashed", {{"what", what}});
  }

  void on_exit() override {
    --here_.behaviors;
    if (here_.refusing) tell(here_.roster, companion_ended{});
    // Whoever is still served lost its actor. (A closing connection answers that it is closing already.)
    for (const auto& s : serving_)
      s.who->close(close_code::internal_error, "internal error", initiator::error, {});
    serving_.clear();
    what_.reset();
  }

 private:
  struct served {
    core_ptr who;
    std::uint32_t handled;
  };

  void handled_by(const core_ptr& who, const message& what) {
    for (auto& s : serving_)
      if (s.who == who) s.handled += weight_of(what);
  }

  template <class Function>
  void guarded(const char* where, Function&& function) {
    try {
      function();
    } catch (const std::exception& e) {
      threw(where, e.what());
    } catch (...) {
      threw(where, "not a std::exception");
    }
  }

  void threw(const char* where, std::string_view what) {
    env_.logger()(severity::error, "behavior.threw", {{"function", where}, {"what", what}});
    quit(caf::sec::runtime_error);
  }

  environment& env_;
  loop_context& here_;
  std::unique_ptr<behavior> what_;
  std::vector<served> serving_;  // one, or a user's few
  const bool serves_one_;
};

}  // namespace

caf::strong_actor_ptr spawn_companion(const std::shared_ptr<loop_unit>& unit, environment& env,
                                      loop_context& here, std::unique_ptr<behavior> what,
                                      bool serves_one) {
  return spawn_pinned<companion>(unit, env, here, std::move(what), serves_one);
}

}  // namespace fairlead::actors
