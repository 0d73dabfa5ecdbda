#pragma once

#include <cstddef>
#include <string_view>

namespace fairlead::protocol {

/// Whether these bytes are well-formed UTF-8 (RFC 3629 section 4): shortest forms only, no surrogates, nothing past
/// U+10FFFF, no sequence cut off at the end. Empty is valid.
[[nodiscard]] bool valid_utf8(std::string_view bytes) noexcept;

/// The longest prefix of `text` of at most `most` bytes that does not end within a code point. `text` must be valid.
[[nodiscard]] std::string_view clip_utf8(std::string_view text, std::size_t most) noexcept;

}  // namespace fairlead::protocol
