// Must not compile: a state for which nobody wrote rules. The test beside this file expects the error to name the
// state and an event.

#include <variant>

#include "protocol/rules.hpp"

namespace fairlead::protocol {

struct half_open {};
using with_a_new_state =
    std::variant<connecting, accepted, open, closing, closed, failed, half_open>;

static_assert(rules::total(static_cast<with_a_new_state*>(nullptr), rules::every_event{}));

}  // namespace fairlead::protocol
