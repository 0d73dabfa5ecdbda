#include <atomic>
#include <utility>

#include <fairlead/admission.hpp>

namespace fairlead {

struct admission_decision::state {
  explicit state(std::function<void(std::optional<admission>)> f) : decide(std::move(f)) {}
  ~state() {
    try {
      settle(std::nullopt);
    } catch (...) {
      // Out of memory, in a destructor: the request is refused when its time is up.
    }
  }
  state(const state&) = delete;
  state& operator=(const state&) = delete;

  void settle(std::optional<admission> what) {
    if (decide && !settled.exchange(true)) decide(std::move(what));
  }

  const std::function<void(std::optional<admission>)> decide;
  std::atomic<bool> settled{false};
};

admission_decision::admission_decision(std::function<void(std::optional<admission>)> decide)
    : state_(std::make_shared<state>(std::move(decide))) {}

void admission_decision::operator()(admission what) const {
  if (state_) state_->settle(std::move(what));
}

}  // namespace fairlead
