// permessage-deflate beside the link: what a client sends is inflated within its bound and as zlib alone would have it; what
// is compressed for clients can be inflated in the window that was agreed on; compressed messages are found however the bytes
// are cut; and offers of it are read.
#include "net/deflate.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <zlib.h>

#include "net/deflate_offer.hpp"
#include "net/http_message.hpp"
#include "protocol/frame.hpp"
#include "tests/fuzz/input.hpp"

namespace fairlead::fuzz {
namespace {

using net::deflate_workshop;
using inflating = deflate_workshop::inflating;

/// What zlib makes of the payload with the four bytes that are not sent behind it (RFC 7692 7.2.2), in one go and with room
/// for `most + 1` bytes. Nothing: it is wrong, or ends within a block.
std::optional<std::string> by_zlib(std::string bytes, std::size_t most) {
  bytes.append("\x00\x00\xff\xff", 4);
  z_stream z{};
  if (inflateInit2(&z, -15) != Z_OK) std::abort();
  std::string out(most + 1, '\0');
  z.next_in = reinterpret_cast<Bytef*>(bytes.data());
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  int result = Z_OK;
  while (z.avail_in > 0 && z.avail_out > 0 && (result == Z_OK || result == Z_STREAM_END)) {
    result = ::inflate(&z, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      // Another stream may follow within a message (RFC 7692 7.2.3.4). It begins with an empty window.
      const auto next = z.next_in;
      const auto left = z.avail_in;
      ::inflateReset(&z);
      z.next_in = next;
      z.avail_in = left;
    }
  }
  const bool full = z.avail_out == 0;
  const bool good = (result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR) &&
                    (z.data_type & 128) != 0;
  out.resize(out.size() - z.avail_out);
  ::inflateEnd(&z);
  if (!full && !good) return std::nullopt;
  return out;
}

void inflate(input& in) {
  const auto most = 1 + in.up_to(5000);
  deflate_workshop workshop({.enabled = true});
  // Twice: nothing of one message is in the next.
  const auto first = std::string(in.text(in.up_to(200)));
  (void)workshop.inflate(first, most);
  const auto payload = std::string(in.rest());
  const auto result = workshop.inflate(payload, most);
  promise(workshop.inflated().size() <= most + 1, "no more is made than may be looked at");
  if (payload.empty()) return promise(result == inflating::done, "nothing is an empty message");
  const auto expected = by_zlib(payload, most);
  if (result == inflating::too_large)
    return promise(expected && expected->size() > most, "too large is larger than it may be");
  promise((result == inflating::done) == (expected && expected->size() <= most),
          "it is good where zlib says so");
  if (result == inflating::done)
    promise(workshop.inflated() == *expected, "and the same comes of it");
}

/// Inflates in a window of that many bits and no more: given room for one byte at a time, zlib has nothing but its window to
/// look back at.
std::string in_window(std::string bytes, int window_bits) {
  bytes.append("\x00\x00\xff\xff", 4);
  z_stream z{};
  if (inflateInit2(&z, -window_bits) != Z_OK) std::abort();
  z.next_in = reinterpret_cast<Bytef*>(bytes.data());
  z.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  for (char next = 0;;) {
    z.next_out = reinterpret_cast<Bytef*>(&next);
    z.avail_out = 1;
    const int result = ::inflate(&z, Z_SYNC_FLUSH);
    promise(result == Z_OK || result == Z_BUF_ERROR, "what is compressed can be inflated");
    if (z.avail_out > 0) break;
    out += next;
  }
  ::inflateEnd(&z);
  return out;
}

/// No time passes, so that what an input does depends on no other.
net::work_clocks timeless(protocol::token_bucket& spent) {
  return {[] { return protocol::time_point{} + std::chrono::hours{1}; },
          [] { return std::chrono::nanoseconds{0}; }, &spent};
}

void compress(input& in) {
  const int window_bits = 8 + static_cast<int>(in.up_to(8));
  const int level = 1 + static_cast<int>(in.up_to(9));
  protocol::token_bucket spent;
  deflate_workshop workshop({.enabled = true, .level = level, .min_size = in.up_to(40)},
                            std::make_shared<net::deflate_counts>(), timeless(spent));
  std::string payload(in.text(in.up_to(600)));
  for (auto copies = in.up_to(6); copies > 0 && payload.size() < 5000; --copies) payload += payload;
  const auto plain = message::make(message_kind::binary, payload);
  auto chunk = protocol::as_chunk(plain, {});
  for (int twice = 0; twice < 2; ++twice) {
    auto made = protocol::as_chunk(plain, {});
    workshop.compress(made, window_bits);
    promise(made.size <= plain.frame().size(), "nothing becomes larger");
    if (twice > 0) promise(made.storage == chunk.storage, "one compression for all who want it");
    chunk = std::move(made);
  }
  const auto frame = chunk.view();
  if ((frame[0] & 0x40) == 0) return promise(frame == plain.frame(), "or it stays as it was");
  const std::size_t header = frame[1] == 126 ? 4 : 2;
  promise(in_window(std::string(frame.substr(header)), window_bits) == payload,
          "the client has the message again, in the window that was agreed on");
}

/// What `scan` makes of the bytes, cut at every `step`.
std::string scanned(net::compressed_marks& marks, std::string bytes, std::size_t step) {
  for (std::size_t at = 0; at < bytes.size(); at += step)
    marks.scan(bytes.data() + at, std::min(step, bytes.size() - at));
  return bytes;
}

void scan(input& in) {
  const auto step = 1 + in.up_to(20);
  const std::string bytes(in.rest());
  net::compressed_marks whole, pieces;
  promise(scanned(whole, bytes, bytes.size() + 1) == scanned(pieces, bytes, step),
          "the same, however the bytes are cut");
  for (std::size_t i = 0; i <= bytes.size(); ++i) {
    const auto a = whole.take(), b = pieces.take();
    promise(a.compressed == b.compressed && a.text == b.text, "and the same marks");
  }
}

void offer(input& in) {
  net::request_head head;
  for (int lines = 0; lines < 4 && !in.empty(); ++lines)
    head.insert(boost::beast::http::field::sec_websocket_extensions, in.text(in.up_to(400)));
  const auto agreed = net::accept_deflate(head);
  if (!agreed) return;
  promise(agreed->window_bits >= 8 && agreed->window_bits <= 15, "a window that there is");
  promise(agreed->response().starts_with("permessage-deflate"), "an answer");
}

constexpr std::array<kind, 4> kinds{&inflate, &compress, &scan, &offer};

}  // namespace
}  // namespace fairlead::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fairlead::fuzz::run_one_of(fairlead::fuzz::kinds, {data, size});
}
