#include <atomic>
#include <utility>

#include <fairlead/admission.hpp>

namespace fairlead {

struct admission_decision::state {
  explicit state(std::function<void(const admission*)> f) : decide(std::move(f)) {}
  ~state() {
    try {
      settle(nullptr);
    } catch (...) {
      // Out of memory, in a destructor: the request is refused when its time is up.
    }
  }
  state(const state&) = delete;
  state& operator=(const state&) = delete;

  void settle(const admission* what) {
    if (decide && !settled.exchange(true)) decide(what);
  }

  const std::function<void(const admission*)> decide;
  std::atomic<bool> settled{false};
};

admission_decision::admission_decision(std::function<void(const admission*)> decide)
    : state_(std::make_shared<state>(std::move(decide))) {}

void admission_decision::operator()(const admission& what) const {
  if (state_) state_->settle(&what);
}

}  // namespace fairlead
