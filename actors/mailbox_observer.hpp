#pragma once

#include <string>
#include <system_error>
#include <utility>

#include "actors/connection_actor.hpp"
#include "actors/messages.hpp"
#include "protocol/ports.hpp"

namespace fairlead::actors {

/// Puts what a link reports into its connection's mailbox. Holds the actor until the link is done with it.
class mailbox_observer final : public protocol::link_observer {
 public:
  explicit mailbox_observer(const detail::connection_core& of)
      : to_(of.actor), actor_(actor_of(of)) {}

  void on_upgraded() override { report(protocol::upgraded{}); }
  void on_message(message m) override { actor_.pass(link_message{std::move(m)}); }
  void on_progress(protocol::progress p) override { tell(to_, link_progress{p}); }
  void on_peer_close(close_code code, std::string reason) override {
    report(protocol::peer_closed{code, std::move(reason)});
  }
  void on_violation(close_code code, std::string what) override {
    report(protocol::violated{code, std::move(what)});
  }
  void on_limit(close_code code, std::string reason) override {
    tell(to_, begin_close{code, std::move(reason), initiator::limit, nullptr});
  }
  void on_closed() override { report(protocol::link_closed{}); }
  void on_failed(std::error_code error, std::string what) override {
    report(protocol::link_failed{error, std::move(what)});
  }

 private:
  template <class Event>
  void report(Event event) {
    tell(to_, link_report{std::move(event)});
  }

  caf::strong_actor_ptr to_;
  connection_actor& actor_;  // the same
};

}  // namespace fairlead::actors
