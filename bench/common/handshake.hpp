#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fairlead::bench {

/// The value of a header field, by case-insensitive name, from an HTTP message head; trimmed.
std::optional<std::string_view> header_field(std::string_view head, std::string_view name);

/// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (RFC 6455 4.2.2).
std::string accept_key(std::string_view client_key);

/// Base64 of the bytes.
std::string base64(std::string_view bytes);

/// Raises the soft limit of open descriptors to the hard one and returns it: 10,000 connections need that many.
unsigned long raise_descriptor_limit();

}  // namespace fairlead::bench
