#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include <fairlead/message.hpp>

namespace fairlead::protocol {

/// What some whole frames are sent as to connections that take messages compressed in the largest window: the same frames,
/// those that gain by it compressed: never more bytes. It travels with the storage of the plain ones, in the block that counts who shares
/// them, so that messages and chunks have no room for it where there is none.
struct compressed_form {
  std::shared_ptr<const char[]> storage;
  std::uint32_t size = 0;

  [[nodiscard]] std::string_view view() const noexcept { return {storage.get(), size}; }

  /// The same plain frames, with this beside them.
  [[nodiscard]] std::shared_ptr<const char[]> beside(std::shared_ptr<const char[]> plain) const;
  [[nodiscard]] message beside(message plain) const;
  /// What is beside them; null if nothing. Lives as long as they do.
  [[nodiscard]] static const compressed_form*
  of(const std::shared_ptr<const char[]>& plain) noexcept;
};

}  // namespace fairlead::protocol
