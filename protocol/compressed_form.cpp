#include "protocol/compressed_form.hpp"

#include <utility>

namespace fairlead::protocol {
namespace {

/// Deletes nothing: it holds what it is called for.
struct keeper {
  std::shared_ptr<const char[]> plain;
  compressed_form form;
  void operator()(const char*) const noexcept {}
};

}  // namespace

std::shared_ptr<const char[]> compressed_form::beside(std::shared_ptr<const char[]> plain) const {
  const char* const frames = plain.get();
  return {frames, keeper{std::move(plain), *this}};
}

message compressed_form::beside(message plain) const {
  plain.bytes_ = beside(std::move(plain.bytes_));
  return plain;
}

const compressed_form* compressed_form::of(const std::shared_ptr<const char[]>& plain) noexcept {
  const auto* const kept = std::get_deleter<keeper>(plain);
  return kept ? &kept->form : nullptr;
}

}  // namespace fairlead::protocol
