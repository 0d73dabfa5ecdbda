#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>

#include "tests/support/raw_client.hpp"

/// Clients of which many are read at once, each of which ends its connection in a way of its own.
namespace fairlead::test {

enum class ending {
  answers,  ///< reads everything and answers the server's Close
  closes,   ///< sends a Close of its own, and reads everything
  resets,   ///< ends by a reset
  leaves,   ///< closes its socket, without a Close frame
};

struct peer_plan {
  ending how = ending::answers;
  std::size_t after = 0;  ///< so many frames are received first
};

/// One client, and all it ever received.
class peer {
 public:
  static constexpr unsigned own_code = 4100;

  peer(raw_client client, peer_plan plan) : client_(std::move(client)), plan_(plan) {}

  /// Does now what its plan says for now.
  void act() {
    if (over_ || acted_ || frames_.size() < plan_.after) return;
    acted_ = true;
    switch (plan_.how) {
    case ending::answers: break;
    case ending::closes: say_close(own_code); break;
    case ending::resets:
      client_.reset();
      over_ = true;
      break;
    case ending::leaves:
      client_.close();
      over_ = true;
      break;
    }
  }

  /// Call when there is something to read.
  void read() {
    if (!client_.receive_some()) {
      end_was_reset_ = client_.was_reset();
      cut_ = client_.pending().size();
      client_.close();
      over_ = true;
      return;
    }
    while (auto next = client_.take_frame()) {
      if (closed_) ++after_close_;
      if (next->is_close() && !std::exchange(closed_, true)) on_close(*next);
      if (over_) return;
      frames_.push_back(std::move(*next));
    }
    if (closed_ && !client_.pending().empty()) ++after_close_;
    act();
  }

  void give_up() {
    client_.close();
    over_ = true;
  }

  [[nodiscard]] bool over() const { return over_; }
  [[nodiscard]] int descriptor() const { return client_.descriptor(); }
  [[nodiscard]] const peer_plan& plan() const { return plan_; }
  /// Whether it read everything that the server ever wrote.
  [[nodiscard]] bool reads_all() const {
    return plan_.how == ending::answers || plan_.how == ending::closes;
  }
  [[nodiscard]] const std::vector<frame>& frames() const { return frames_; }
  [[nodiscard]] bool saw_close() const { return closed_; }
  [[nodiscard]] unsigned close_code() const { return close_code_; }
  /// Frames and rests of frames behind the first Close frame.
  [[nodiscard]] std::size_t after_close() const { return after_close_; }
  [[nodiscard]] bool end_was_reset() const { return end_was_reset_; }
  /// The bytes of a frame that never became whole.
  [[nodiscard]] std::size_t cut() const { return cut_; }

 private:
  void on_close(const frame& f) {
    close_code_ = f.close_code();
    if (reads_all()) return say_close(close_code_);
    plan_.after = 0;  // now or never
    act();
  }
  void say_close(unsigned code) {
    if (!std::exchange(said_close_, true)) (void)client_.try_send(close_frame(code));
  }

  raw_client client_;
  peer_plan plan_;
  std::vector<frame> frames_;
  unsigned close_code_ = 0;
  std::size_t after_close_ = 0, cut_ = 0;
  bool acted_ = false, over_ = false, said_close_ = false, closed_ = false, end_was_reset_ = false;
};

/// Reads all of them until each has come to its end. False if nothing happens for too long before that.
inline bool read_to_the_end(std::vector<peer>& peers) {
  for (auto& p : peers) p.act();
  std::vector<pollfd> waited;
  std::vector<peer*> whose;
  for (;;) {
    waited.clear();
    whose.clear();
    for (auto& p : peers) {
      if (p.over()) continue;
      waited.push_back({p.descriptor(), POLLIN, 0});
      whose.push_back(&p);
    }
    if (waited.empty()) return true;
    constexpr int patience_ms = 10'000;
    if (::poll(waited.data(), waited.size(), patience_ms) <= 0) break;
    for (std::size_t i = 0; i < waited.size(); ++i)
      if (waited[i].revents != 0) whose[i]->read();
  }
  for (auto& p : peers) p.give_up();
  return false;
}

}  // namespace fairlead::test
