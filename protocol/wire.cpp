#include "protocol/wire.hpp"

#include <algorithm>
#include <cassert>
#include <utility>
#include <vector>

#include "protocol/defect.hpp"
#include "protocol/frame.hpp"

namespace fairlead::protocol {
namespace {

/// Receipts to settle when the wire is consistent again. The usual one needs no allocation.
class settlements {
 public:
  void add(receipt&& asked) {
    if (!first_)
      first_ = std::move(asked);
    else
      rest_.push_back(std::move(asked));
  }
  void settle(send_result result) const noexcept {
    if (first_) first_->settle(result);
    for (const auto& asked : rest_) asked->settle(result);
  }

 private:
  receipt first_;
  std::vector<receipt> rest_;
};

}  // namespace

wire::~wire() { abandon(); }

bool wire::sealed() const noexcept { return phase_ != phase::handshake && phase_ != phase::open; }

bool wire::push(const chunk& what) { return !sealed() && push(chunk(what)); }

bool wire::push(chunk&& what) {
  if (sealed() && !(planted(defect::unsealed_wire) && phase_ == phase::sealed)) return false;
  assert(what.frames > 0 && what.size > 0);
  const std::size_t bytes = what.size;
  queue_.push_back(std::move(what));
  queued_bytes_ += bytes;
  return true;
}

void wire::enqueue_copy(std::string_view bytes) {
  auto storage = std::make_shared_for_overwrite<char[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), storage.get());
  queue_.push_back({std::move(storage), static_cast<std::uint32_t>(bytes.size()), 0, 0, nullptr});
  queued_bytes_ += bytes.size();
}

void wire::push_raw(std::string_view bytes) {
  if (bytes.empty() || phase_ == phase::sealed || phase_ == phase::abandoned) return;
  enqueue_copy(bytes);
  if (phase_ == phase::open && is_close(bytes.front())) phase_ = phase::sealed;
}

void wire::handshake_done() {
  if (phase_ == phase::handshake) {
    phase_ = phase::open;
  } else if (phase_ == phase::handshake_closing) {
    enqueue_copy(*waiting_close_);
    waiting_close_.reset();
    phase_ = phase::sealed;
  }
}

void wire::push_close(close_code code, std::string_view reason) {
  const close_frame frame(code, reason);
  if (phase_ == phase::handshake) {
    waiting_close_ = std::make_unique<const std::string>(frame.view());
    phase_ = phase::handshake_closing;
  } else if (phase_ == phase::open) {
    enqueue_copy(frame.view());
    phase_ = phase::sealed;
  }
}

std::size_t wire::gather(std::span<std::string_view> out) const noexcept {
  const std::size_t count = std::min(out.size(), queue_.size());
  for (std::size_t i = 0; i < count; ++i) out[i] = queue_[i].view();
  if (count > 0) out[0].remove_prefix(sent_);
  return count;
}

progress wire::consume(std::size_t n) {
  assert(n <= queued_bytes_);
  queued_bytes_ -= n;
  progress made;
  settlements written;
  while (!queue_.empty()) {
    const std::uint32_t left = queue_[0].size - sent_;
    if (n < left) {
      sent_ += static_cast<std::uint32_t>(n);
      break;
    }
    n -= left;
    sent_ = 0;
    chunk done = queue_.pop_front();
    if (done.frames > 0) {
      made.messages += done.frames;
      made.bytes += done.size;
    }
    if (done.asked) written.add(std::move(done.asked));
  }
  written.settle(planted(defect::silent_writes)
                     ? send_result::failed
                     : send_result::written);  // `this` may be gone after it
  return made;
}

/// How many chunks have a byte that the kernel or the transport has begun with.
std::size_t wire::chunks_begun(std::size_t begun) const noexcept {
  std::size_t count = 0;
  for (std::size_t left = sent_ + begun; left > 0 && count < queue_.size(); ++count)
    left -= std::min<std::size_t>(left, queue_[count].size);
  return count;
}

template <class Judge>
progress wire::drop(std::size_t begun, Judge&& judge, send_result why) {
  progress gone;
  settlements dropped;
  using verdict = chunk_queue::verdict;
  queue_.take_if(
      chunks_begun(begun),
      [&](const chunk& c) { return c.frames == 0 ? verdict::keep : judge(c, std::as_const(gone)); },
      [&](chunk c) {
        gone.messages += planted(defect::run_is_one) ? 1U : c.frames;
        gone.bytes += c.size;
        if (c.asked) dropped.add(std::move(c.asked));
      });
  queued_bytes_ -= gone.bytes;
  dropped.settle(why);  // `this` may be gone after it
  return gone;
}

progress wire::drop_oldest(const progress& least, std::size_t begun) {
  return drop(
      begun,
      [&](const chunk&, const progress& gone) {
        const bool enough = gone.messages >= least.messages && gone.bytes >= least.bytes;
        return enough ? chunk_queue::verdict::stop : chunk_queue::verdict::take;
      },
      send_result::overflow);
}

progress wire::drop_key(const send_terms& terms, std::size_t begun) {
  return drop(
      begun,
      [&](const chunk& c, const progress&) {
        const bool same = c.tag == terms.tag && c.asked->terms()->key == terms.key;
        return same ? chunk_queue::verdict::take : chunk_queue::verdict::keep;
      },
      send_result::overflow);
}

progress wire::drop_expired(time_point now, time_point& next, std::size_t begun) {
  next = time_point::max();
  return drop(
      begun,
      [&](const chunk& c, const progress&) {
        const auto expires = c.tag == 0 ? time_point::max() : c.asked->terms()->expires;
        if (expires <= now) return chunk_queue::verdict::take;
        next = std::min(next, expires);
        return chunk_queue::verdict::keep;
      },
      send_result::expired);
}

void wire::abandon(send_result why) {
  phase_ = phase::abandoned;
  waiting_close_.reset();
  queued_bytes_ = 0;
  sent_ = 0;
  // From here on only the local is touched: a receipt may destroy this wire.
  for (chunk_queue left = std::exchange(queue_, {}); !left.empty();) {
    const chunk unsent = left.pop_front();
    if (unsent.asked) unsent.asked->settle(why);
  }
}

}  // namespace fairlead::protocol
