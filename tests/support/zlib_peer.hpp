#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include <zlib.h>

/// The client's side of permessage-deflate (RFC 7692 7.2), by zlib itself.
namespace fairlead::test {

/// A message's payload, compressed; `last`: its stream is ended, and another begun, as a sender may.
inline std::string deflated(std::string_view text, int window_bits = 15, bool last = false) {
  z_stream z{};
  if (deflateInit2(&z, 9, Z_DEFLATED, -window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::runtime_error("deflateInit2");
  std::string out(text.size() + 1024, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, last ? Z_FINISH : Z_SYNC_FLUSH);
  out.resize(out.size() - z.avail_out);
  deflateEnd(&z);
  if (last) return out + '\0';
  return out.substr(0, out.size() - 4);
}

/// The inverse, in a window that is no larger than was agreed on. Throws if the bytes are wrong.
inline std::string inflated(std::string bytes, int window_bits = 15) {
  z_stream z{};
  if (inflateInit2(&z, -window_bits) != Z_OK) throw std::runtime_error("inflateInit2");
  bytes.append("\x00\x00\xff\xff", 4);
  std::string out(8 * bytes.size() + 1024, '\0');
  z.next_in = reinterpret_cast<Bytef*>(bytes.data());
  z.avail_in = static_cast<uInt>(bytes.size());
  int result = Z_OK;
  for (std::size_t size = 0;;) {
    z.next_out = reinterpret_cast<Bytef*>(out.data() + size);
    z.avail_out = static_cast<uInt>(out.size() - size);
    result = inflate(&z, Z_SYNC_FLUSH);
    size = out.size() - z.avail_out;
    const bool full = result == Z_OK && z.avail_out == 0;
    out.resize(full ? 2 * size : size);
    if (!full) break;
  }
  // Z_BUF_ERROR: the message ended just where the room did.
  const bool whole = (result == Z_OK || result == Z_BUF_ERROR) && z.avail_in == 0;
  inflateEnd(&z);
  if (!whole) throw std::runtime_error("not a compressed message");
  return out;
}

}  // namespace fairlead::test
