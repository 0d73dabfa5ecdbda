#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "protocol/ports.hpp"

namespace fairlead::net {

/// The one answer to a request of a session's, from any thread. Does not keep the session.
template <class Session>
class late_answer {
 public:
  using act = std::function<void(Session&)>;

  /// `unanswered`: what is done instead if there is none.
  late_answer(std::weak_ptr<Session> session, std::shared_ptr<protocol::event_loop> loop,
              act unanswered)
      : session_(std::move(session)), loop_(std::move(loop)), unanswered_(std::move(unanswered)) {}
  ~late_answer() {
    try {
      give(std::move(unanswered_));
    } catch (...) {
      // Out of memory, in a destructor: the session ends by its deadline, or when the listener stops.
    }
  }
  late_answer(const late_answer&) = delete;
  late_answer& operator=(const late_answer&) = delete;

  /// On the session's loop, if the session is still there. The first one counts.
  void give(act how) {
    if (used_.exchange(true)) return;
    loop_->post([session = session_, how = std::move(how)] {
      if (const auto alive = session.lock()) how(*alive);
    });
  }

 private:
  const std::weak_ptr<Session> session_;
  const std::shared_ptr<protocol::event_loop> loop_;
  act unanswered_;
  std::atomic<bool> used_{false};
};

}  // namespace fairlead::net
