// A session's stream against a model that is too simple to be wrong: everything that was ever appended, and from which
// number on it is kept. Readers come and go, and each must get every message once and in order, or be told that it cannot.
#include "protocol/stream.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/fuzz/input.hpp"

namespace fairlead::fuzz {
namespace {

using protocol::time_point;

class stage {
 public:
  explicit stage(input& in)
      : in_(in),
        bounds_{1 + in.up_to(20), 1 + in.up_to(600), std::chrono::milliseconds{1 + in.up_to(200)}},
        stream_("epoch", bounds_) {}

  void step() {
    switch (in_.up_to(6)) {
    case 0:
    case 1: append(); break;
    case 2: trim(); break;
    case 3: drop_until(); break;
    case 4: now_ += std::chrono::milliseconds{in_.up_to(100)}; break;
    default: read(); break;
    }
    compare();
  }

 private:
  struct entry {
    std::string text;
    time_point at;
  };

  [[nodiscard]] std::uint64_t top() const { return all_.size(); }
  [[nodiscard]] std::size_t bytes_kept() const {
    std::size_t sum = 0;
    for (auto n = first_; n <= top(); ++n) sum += message::text(all_[n - 1].text).frame().size();
    return sum;
  }
  void forget_old() {
    while (first_ <= top() && now_ - all_[first_ - 1].at >= bounds_.age) ++first_;
  }

  void append() {
    const auto size = in_.up_to(300);
    // Each has its number in it: two of the same length are not the same.
    auto text = std::to_string(top() + 1);
    text.resize(std::max(text.size(), size), 'x');
    forget_old();
    const auto number = stream_.append(message::text(text), now_);
    all_.push_back({std::move(text), now_});
    while (first_ <= top() &&
           (top() + 1 - first_ > bounds_.messages || bytes_kept() > bounds_.bytes))
      ++first_;
    promise(number == top(), "numbers have no gap and none comes twice");
  }
  void trim() {
    stream_.trim(now_);
    forget_old();
    promise(stream_.next_expiry() > now_, "what is kept after a trim is not too old");
  }
  void drop_until() {
    const auto offset = in_.up_to(all_.size() + 2);
    stream_.drop_until(offset);
    first_ = std::max(first_, std::min<std::uint64_t>(offset, top()) + 1);
  }

  /// A reader comes back that has everything up to some number of this epoch, of none or of another.
  void read() {
    auto position = static_cast<std::uint64_t>(in_.up_to(all_.size() + 3));
    static constexpr const char* epochs[] = {"epoch", "", "another"};
    const std::string epoch = epochs[in_.up_to(3)];
    const bool recovered = stream_.can_recover(position, epoch);
    const bool honest = epoch != "another" && position <= top() && position + 1 >= first_;
    promise(recovered == honest, "recovered is said if and only if nothing is missing");
    if (!recovered) return;
    while (position < stream_.top()) {
      const auto* next = stream_.at(++position);
      promise(next && next->view() == all_[position - 1].text, "it gets each message as appended");
    }
  }

  void compare() const {
    promise(stream_.top() == top(), "top counts what was appended");
    promise(stream_.first() == first_ && stream_.size() == top() + 1 - first_, "what is kept");
    promise(stream_.bytes() == bytes_kept(), "bytes are those of what is kept");
    promise(stream_.size() <= bounds_.messages && stream_.bytes() <= bounds_.bytes, "the bounds");
    promise(!stream_.at(0) && !stream_.at(first_ - 1) && !stream_.at(top() + 1) &&
                !stream_.at(UINT64_MAX),
            "what is not kept cannot be read");
    promise(!stream_.can_recover(UINT64_MAX), "nobody has more than there is");
    const auto expiry = stream_.size() > 0 ? all_[first_ - 1].at + bounds_.age : time_point::max();
    promise(stream_.next_expiry() == expiry, "it says when the oldest expires");
  }

  input& in_;
  const protocol::stream_limits bounds_;
  protocol::stream stream_;
  time_point now_{std::chrono::hours{1}};
  std::vector<entry> all_;
  std::uint64_t first_ = 1;  // that is kept
};

}  // namespace
}  // namespace fairlead::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fairlead::fuzz::input in(data, size);
  fairlead::fuzz::stage s(in);
  while (!in.empty()) s.step();
  return 0;
}
