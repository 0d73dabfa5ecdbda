#pragma once

#include <cstdint>
#include <string>

namespace fairlead {

enum class tls_version : std::uint8_t { tls_1_2, tls_1_3 };

/// TLS on the public listener (`wss://`). The files are PEM; they are read by `start`, and again by `reload_tls`.
struct tls_options {
  /// The server's certificate, and behind it those that lead to a root which clients know. Empty: no TLS.
  std::string certificate = {};
  /// Its private key, without a passphrase.
  std::string key = {};
  /// If set: every client has to show a certificate that leads to one of these (mutual TLS).
  std::string client_ca = {};
  /// Older versions are refused.
  tls_version min_version = tls_version::tls_1_2;
};

}  // namespace fairlead
