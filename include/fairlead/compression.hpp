#pragma once

#include <cstddef>

namespace fairlead {

/// permessage-deflate (RFC 7692), for clients that offer it. Off by default: it costs processor time, and whoever may mix
/// their own text with secrets in one message can find out the secrets from the length of what is sent.
struct compression_options {
  bool enabled = false;
  int level = 6;               ///< 1 (fast) to 9 (small)
  std::size_t min_size = 256;  ///< bytes: shorter messages are sent as they are
};

}  // namespace fairlead
