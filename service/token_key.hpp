#pragma once

#include <string>

#include <fairlead/jwt.hpp>

namespace fairlead::service {

/// The key of these options, fit for its algorithm: an HMAC secret of at least the hash's size (RFC 7518 3.2), an RSA key
/// of at least 2,048 bits (3.3), an EC key on the algorithm's curve (3.4). std::runtime_error that names the file and what
/// is wrong; nothing of the key is in it.
[[nodiscard]] std::string load_token_key(const jwt_options&);

}  // namespace fairlead::service
