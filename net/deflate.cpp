#include "net/deflate.hpp"

#include <algorithm>
#include <ctime>
#include <limits>
#include <new>
#include <utility>

#include <zlib.h>

#include "protocol/compressed_form.hpp"
#include "protocol/frame.hpp"

namespace fairlead::net {
namespace {

constexpr char rsv1 = 0x40;
// Ends each message's stream on a byte, and is not sent (RFC 7692 7.2.1).
constexpr std::string_view tail{"\x00\x00\xff\xff", 4};
constexpr std::size_t least_room = 4096;
constexpr std::size_t kept_room = 64 * 1024;
// Half of a loop's time, and 100 ms at once. 64 KB of text that a client has chosen well take 12 ms at level 6 and 180 ms at
// level 9, and are 10 KB when it sends them compressed: hundreds in a second would be within its rate.
constexpr protocol::token_rate most_time{500'000'000, std::chrono::milliseconds{200}};

void feed(z_stream& z, std::string_view in) {
  // zlib does not change its input; its older interface says nothing of it.
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
  z.avail_in = static_cast<uInt>(in.size());
}

void make_room(z_stream& z, std::string& out, std::size_t at, std::size_t size) {
  z.next_out = reinterpret_cast<Bytef*>(out.data() + at);
  z.avail_out = static_cast<uInt>(size);
}

/// The first of some whole frames of ours, which have no mask.
struct server_frame {
  explicit server_frame(std::string_view frames)
      : code(static_cast<protocol::opcode>(frames[0] & 0x0f)) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(frames[i]); };
    const std::size_t width = byte(1) == 126 ? 2 : byte(1) == 127 ? 8 : 0;
    std::uint64_t size = width > 0 ? 0 : byte(1);
    for (std::size_t i = 0; i < width; ++i) size = size << 8U | byte(2 + i);
    all = frames.substr(0, 2 + width + size);
    payload = all.substr(2 + width);
  }

  protocol::opcode code;
  std::string_view all, payload;
};

}  // namespace

std::chrono::nanoseconds thread_time() {
  std::timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds{t.tv_sec} + std::chrono::nanoseconds{t.tv_nsec};
}

void deflate_workshop::end_deflate::operator()(z_stream* z) const noexcept {
  ::deflateEnd(z);
  delete z;
}
void deflate_workshop::end_inflate::operator()(z_stream* z) const noexcept {
  ::inflateEnd(z);
  delete z;
}

deflate_workshop::~deflate_workshop() = default;

z_stream& deflate_workshop::deflater(int window_bits) {
  auto& made = deflaters_[static_cast<std::size_t>(window_bits - least_bits)];
  if (!made) {
    auto fresh = std::make_unique<z_stream>();
    constexpr int usual_memory = 8;
    // zlib makes no raw stream with a window of 8 bits. With one of 9 it looks back at most 512 - 262 bytes (its
    // MAX_DIST), which is within the 256 of one of 8.
    const int bits = std::max(window_bits, 9);
    if (::deflateInit2(fresh.get(), options_.level, Z_DEFLATED, -bits, usual_memory,
                       Z_DEFAULT_STRATEGY) != Z_OK)
      throw std::bad_alloc();
    made.reset(fresh.release());
  }
  return *made;
}

z_stream& deflate_workshop::inflater() {
  if (!inflater_) {
    auto fresh = std::make_unique<z_stream>();
    if (::inflateInit2(fresh.get(), -most_bits) != Z_OK) throw std::bad_alloc();
    inflater_.reset(fresh.release());
  }
  return *inflater_;
}

// --- out ------------------------------------------------------------------------------------------------------------

void deflate_workshop::compress(protocol::chunk& what, int window_bits) {
  const auto* const form = protocol::compressed_form::of(what.storage);
  if (form && window_bits == most_bits) {
    what.size = form->size;
    what.storage =
        std::shared_ptr(form->storage);  // a copy: `form` may end with what it lies beside
    return;
  }
  const auto same = [&](const entry& e) {
    return e.plain == what.storage && e.window_bits == window_bits;
  };
  auto found = std::ranges::find_if(lately_, same);
  if (found == lately_.end()) {
    found = lately_.begin() + static_cast<std::ptrdiff_t>(oldest_);
    oldest_ = (oldest_ + 1) % lately_.size();
    *found = make(what, window_bits);
  }
  what.storage = found->made;
  what.size = found->size;
}

message deflate_workshop::with_compressed_form(const message& what) {
  if (counts_->takers == 0 || what.size() < options_.min_size) return what;
  const auto e = make(protocol::as_chunk(what), most_bits);
  return protocol::compressed_form{e.made, e.size}.beside(what);
}

auto deflate_workshop::count_in(int window_bits) noexcept -> taker {
  if (window_bits != most_bits) return nullptr;
  ++counts_->takers;
  return taker{&counts_->takers};
}

/// Frames that are too short or do not shrink stay as they are.
auto deflate_workshop::make(const protocol::chunk& plain, int window_bits) -> entry {
  run_.clear();
  for (auto rest = plain.view(); !rest.empty();) {
    const server_frame frame(rest);
    rest.remove_prefix(frame.all.size());
    if (!may_compress(frame.payload) || !deflate(frame.payload, window_bits)) {
      run_ += frame.all;
      continue;
    }
    std::array<char, protocol::max_frame_header> header;
    const auto size = protocol::write_frame_header(header.data(), frame.code, deflated_.size());
    header[0] = static_cast<char>(header[0] | rsv1);
    run_.append(header.data(), size).append(deflated_);
  }
  entry made{plain.storage, plain.storage, plain.size, window_bits};
  if (run_.size() < plain.size) {
    auto smaller = std::make_shared_for_overwrite<char[]>(run_.size());
    std::ranges::copy(run_, smaller.get());
    made.made = std::move(smaller);
    made.size = static_cast<std::uint32_t>(run_.size());
  }
  if (run_.capacity() > kept_room) std::string().swap(run_);
  if (deflated_.capacity() > kept_room) std::string().swap(deflated_);
  return made;
}

protocol::token_bucket& deflate_workshop::spent() const noexcept {
  thread_local protocol::token_bucket of_this_thread;
  return clocks_.spent ? *clocks_.spent : of_this_thread;
}

bool deflate_workshop::may_compress(std::string_view payload) {
  if (payload.size() < options_.min_size) return false;
  if (spent().take(0, most_time, clocks_.now()) == protocol::token_bucket::duration::zero())
    return true;  // none is owed
  ++counts_->spared;
  return false;
}

/// Into `deflated_`. False if that is no smaller.
bool deflate_workshop::deflate(std::string_view payload, int window_bits) {
  auto& z = deflater(window_bits);
  ++counts_->compressed;
  ::deflateReset(&z);
  deflated_.resize(payload.size() + tail.size());  // what does not fit is no smaller
  feed(z, payload);
  make_room(z, deflated_, 0, deflated_.size());
  const auto before = clocks_.worked();
  ::deflate(&z, Z_SYNC_FLUSH);
  spent().take(static_cast<std::uint64_t>((clocks_.worked() - before).count()), most_time,
               clocks_.now());
  const std::size_t size = deflated_.size() - z.avail_out;
  if (z.avail_in > 0 || z.avail_out == 0) return false;
  deflated_.resize(size - tail.size());
  return true;
}

// --- in -------------------------------------------------------------------------------------------------------------

auto deflate_workshop::inflate(std::string_view payload, std::size_t most) -> inflating {
  auto& z = inflater();
  ::inflateReset(&z);
  text_size_ = 0;
  if (text_.size() > kept_room) std::string().swap(text_);
  if (payload.empty()) return inflating::done;
  for (const auto part : {payload, tail}) {
    feed(z, part);
    do {
      if (text_size_ == text_.size())
        text_.resize(std::min(most + 1, std::max(least_room, 2 * text_size_)));
      make_room(z, text_, text_size_, text_.size() - text_size_);
      const int result = ::inflate(&z, Z_SYNC_FLUSH);
      text_size_ = text_.size() - z.avail_out;
      if (text_size_ > most) return inflating::too_large;
      if (result == Z_STREAM_END) {
        // A sender may end its stream and begin another within a message (RFC 7692 7.2.3.4).
        const auto next = z.next_in;
        const auto left = z.avail_in;
        ::inflateReset(&z);
        z.next_in = next;
        z.avail_in = left;
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        return inflating::bad;
      }
    } while (z.avail_in > 0 || z.avail_out == 0);
  }
  constexpr int between_blocks = 128;  // in zlib's data_type
  return (z.data_type & between_blocks) != 0 ? inflating::done : inflating::bad;
}

void compressed_marks::scan(char* bytes, std::size_t size) {
  constexpr unsigned fragment_bits = 0x80;
  for (char* const end = bytes + size; bytes != end;) {
    const auto byte = static_cast<unsigned char>(*bytes);
    switch (stage_) {
    case stage::first: {
      const unsigned code = byte & 0x0fU;
      if (code == 1 || code == 2) {
        const bool compressed = (byte & static_cast<unsigned>(rsv1)) != 0;
        if (compressed) *bytes = static_cast<char>((byte & 0xb0U) | 2U);
        marks_ += static_cast<char>((compressed ? 1 : 0) | (code == 1 ? 2 : 0));
      }
      stage_ = stage::second;
      ++bytes;
      break;
    }
    case stage::second: {
      masked_ = (byte & fragment_bits) != 0;
      left_ = byte & 0x7fU;
      count_ = left_ == 126 ? 2 : left_ == 127 ? 8 : 0;
      if (count_ > 0) left_ = 0;
      stage_ = stage::length;
      ++bytes;
      break;
    }
    case stage::length:
      if (count_ > 0) {
        left_ = left_ << 8U | byte;
        --count_;
        ++bytes;
      }
      if (count_ == 0) {
        count_ = masked_ ? 4 : 0;
        stage_ = stage::mask;
      }
      break;
    case stage::mask: {
      const auto n = std::min<std::size_t>(count_, static_cast<std::size_t>(end - bytes));
      bytes += n;
      count_ = static_cast<std::uint8_t>(count_ - n);
      if (count_ == 0) stage_ = stage::payload;
      break;
    }
    case stage::payload: {
      const auto n = std::min<std::uint64_t>(left_, static_cast<std::uint64_t>(end - bytes));
      bytes += n;
      left_ -= n;
      if (left_ == 0) stage_ = stage::first;
      break;
    }
    }
  }
}

auto compressed_marks::take() -> mark {
  if (marks_.empty()) return {};
  const mark next{(marks_[0] & 1) != 0, (marks_[0] & 2) != 0};
  marks_.erase(0, 1);
  return next;
}

}  // namespace fairlead::net
