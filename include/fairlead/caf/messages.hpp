#pragma once

#include <string>
#include <vector>

#include <caf/allowed_unsafe_message_type.hpp>

#include <fairlead/close.hpp>
#include <fairlead/connection.hpp>
#include <fairlead/message.hpp>
#include <fairlead/result.hpp>

/// What an actor of the embedder's may send to Fairlead's actors. In process only: none of these is serialised.
namespace fairlead {

/// To a connection's actor: sends, and answers with the message's `send_result` once it is known. It counts against the
/// queue limits when the actor takes it from its mailbox: a sender that floods should await its answers.
struct send_message {
  message what;
  send_options how = {};
};
/// To a connection's actor: starts a close, and answers with a `close_result`.
struct close_connection {
  close_code code = close_code::normal;
  std::string reason;
};
/// To the supervisor: broadcasts, and answers with a `broadcast_summary`.
struct broadcast_message {
  message what;
  std::vector<connection_id> except;
  send_options how = {};
};

}  // namespace fairlead

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fairlead::send_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fairlead::close_connection)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fairlead::broadcast_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fairlead::send_result)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fairlead::close_result)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fairlead::broadcast_summary)
