#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <caf/actor.hpp>
#include <caf/message.hpp>
#include <caf/node_id.hpp>
#include <caf/response_promise.hpp>
#include <caf/result.hpp>
#include <caf/send.hpp>

#include <fairlead/caf/remote.hpp>
#include <fairlead/session.hpp>

#include "actors/backbone.hpp"
#include "actors/caf.hpp"
#include "actors/mailbox_actor.hpp"
#include "actors/node_door.hpp"

namespace fairlead::actors {

/// The way from callbacks, which may outlive the gateway and its actor system, to it. Any thread.
class gateway_slot {
 public:
  template <class Message>
  void tell(Message what) {
    const std::lock_guard lock{mutex_};
    if (to_) caf::anon_send(to_, std::move(what));
  }
  void set(caf::actor to) {
    const std::lock_guard lock{mutex_};
    to_ = std::move(to);
  }

 private:
  std::mutex mutex_;
  caf::actor to_;
};

// What it is told from within this process; none of these can be serialised, hence none can come from a peer.
struct answer_known {  // from callbacks of sessions
  std::uint64_t request;
  caf::message what;
};
struct state_entered {  // from a watched session
  session who;
  session_state state;
  session_end why;
};
struct peer_gone {  // from its proxy
  caf::actor_addr who;
};
struct look_around {};  // once the gateway stands; then from itself, each second
struct close_gateway {  // from who takes it down; `done` once everybody has left, or it is late
  std::function<void()> done;
};
struct too_late {};

}  // namespace fairlead::actors

FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::answer_known)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::state_entered)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::peer_gone)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::look_around)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::close_gateway)
FAIRLEAD_LOCAL_MESSAGE(fairlead::actors::too_late)

namespace fairlead::actors {

/// The one actor that peers can reach. It blocks nobody: sessions are told by message and answer by callback.
class gateway_actor final : public mailbox_actor {
 public:
  gateway_actor(caf::actor_config&, actors::backbone&, std::shared_ptr<gateway_slot>);
  const char* name() const override { return "session_gateway"; }
  void enqueue(caf::mailbox_element_ptr, caf::execution_unit*) override;
  /// Before it is told anything. Then `look_around` is due, which goes on by itself.
  void stand_at(std::shared_ptr<node_door> d) { door_ = std::move(d); }

 private:
  struct owner {
    caf::strong_actor_ptr who;
    std::size_t unanswered = 0;
    std::map<std::string, session> owned;
  };
  struct waiting {
    caf::response_promise to;
    std::shared_ptr<owner> asker;
  };

  struct watched {
    session which;
    std::optional<session_state> state;  // none: not known yet
    bool told = false;                   // by the session
    std::vector<caf::strong_actor_ptr> by;
  };

  caf::behavior make_behavior() override;
  void on_exit() override;
  template <class Message>
  auto request();
  template <class Message>
  auto from_within();
  void failed(const char* what, std::uint64_t last_before);
  void log_failure(std::string_view event, std::string_view what) const;

  caf::result<remote::spawned> on(remote::spawn&);
  void on(remote::emit&);
  void on(remote::end&);
  void on(remote::watch&);
  void on(remote::issue_token&);
  void on(answer_known&);
  void on(const state_entered&);
  void on(const peer_gone&);
  void on(const look_around&);
  void on(const too_late&);
  void on(remote::leave&);
  caf::result<remote::sign_of_life> on(remote::sign_of_life&);
  void release(const caf::actor_addr&);
  void forget(const caf::actor_addr&);
  void enter(const session&, session_state, const session_end&);
  void on(close_gateway&);

  /// Whose request this is. Null if it is refused: it came from nobody, or the process has too many clients, or we close.
  std::shared_ptr<owner> sender();
  /// The number of a request that is answered later; 0, and it has been refused, if too many of its owner's are.
  template <class Refusal>
  std::uint64_t put_off(Refusal refusal);
  void watch_for(const session&, const caf::strong_actor_ptr&);
  [[nodiscard]] session find(const std::string& id) const { return sessions_.find_session(id); }
  [[nodiscard]] remote::changed how_it_ended(const std::string& id) const;

  actors::backbone& sessions_;
  const std::shared_ptr<gateway_slot> slot_;
  std::shared_ptr<node_door> door_;
  std::map<caf::actor_addr, std::shared_ptr<owner>>
      owners_;                                   // everybody who has asked for anything
  std::map<caf::node_id, std::size_t> clients_;  // how many of these are of one process
  std::unordered_map<std::uint64_t, waiting> waiting_;
  std::unordered_map<std::string, watched> watched_;  // by session
  std::uint64_t last_request_ = 0;
  std::function<void()> closed_;
};

}  // namespace fairlead::actors
