#include "actors/receipts.hpp"

#include "actors/connection_core.hpp"

namespace fairlead::actors {

send_receipt::~send_receipt() {
  const auto ended = to_ ? to_->ended() : send_result::closed;
  call_back(done_, ended == send_result::written ? send_result::closed : ended);
}

}  // namespace fairlead::actors
