#include "protocol/send_terms.hpp"

#include <functional>

namespace fairlead::protocol {

bool ordinary(const send_options& o) noexcept { return !o.ttl && !o.policy && o.key.empty(); }

terms_ptr make_terms(const send_options& o, time_point now) {
  if (ordinary(o)) return nullptr;
  auto made = std::make_shared<send_terms>();
  if (o.ttl) made->expires = now + bounded_wait(*o.ttl);
  made->policy = o.policy;
  if (!o.policy && !o.key.empty()) made->policy = slow_policy::keep_latest;
  if (made->policy == slow_policy::keep_latest && !o.key.empty()) {
    made->key = o.key;
    made->tag = static_cast<std::uint16_t>(std::hash<std::string>{}(o.key) | 1U);
  }
  return made;
}

}  // namespace fairlead::protocol
