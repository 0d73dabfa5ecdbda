#include "actors/gateway_actor.hpp"

#include <algorithm>
#include <utility>

#include <caf/error.hpp>
#include <caf/sec.hpp>

#include "actors/pinned_actor.hpp"

namespace fairlead::actors {

namespace {

constexpr std::size_t most_watchers = 64;  // of one session
constexpr const char *too_many_clients =
                         "this process has as many clients as it may; let its jobs share one",
                     *refused_watch = "refused: as many watch this session as may";
constexpr std::chrono::milliseconds longest_ack{300'000};
constexpr std::chrono::seconds last_words{1}, between_looks{1};

// What a request that waits takes. Of all its text: what a peer can make large is counted.
constexpr std::size_t least = 256;
std::size_t size_of(const remote::spawn& m) {
  auto all = least + m.type.size() + m.id.size() + m.user.size() + m.arguments.size();
  for (const auto& [key, value] : m.metadata)
    all += sizeof(m.metadata[0]) + key.size() + value.size();
  return all;
}
std::size_t size_of(const remote::emit& m) {
  return least + m.session.size() + m.type.size() + m.data.size() + m.key.size();
}
std::size_t size_of(const remote::end& m) { return least + m.session.size() + m.reason.size(); }
std::size_t size_of(const remote::watch& m) { return least + m.session.size(); }
std::size_t size_of(const remote::issue_token& m) { return least + m.session.size(); }
std::size_t size_of(const remote::sign_of_life&) { return least; }
std::size_t size_of(const remote::leave&) { return least; }

template <class Message>
bool add_size(const caf::type_erased_tuple& what, std::size_t& sum) {
  if (!what.match_elements<Message>()) return false;
  sum = size_of(what.get_as<Message>(0));
  return true;
}
/// 0: it is no request.
template <class... Requests>
std::size_t size_of_request(const caf::type_erased_tuple& what) {
  std::size_t size = 0;
  static_cast<void>((add_size<Requests>(what, size) || ...));
  return size;
}
template <class... Types>
bool is_one_of(const caf::type_erased_tuple& what) {
  return (what.match_elements<Types>() || ...);
}

/// What an enumerator from the wire may not be is made what the options' check refuses.
void mend(session_options& o) {
  const auto bad = [](auto e) { return static_cast<unsigned>(e) > 1; };
  if (bad(o.on_second_socket) || bad(o.on_owner_gone) || bad(o.on_failure)) o.max_messages = 0;
}

void tell(const caf::strong_actor_ptr& who, remote::changed what) {
  caf::anon_send(caf::actor_cast<caf::actor>(who), std::move(what));
}

}  // namespace

gateway_actor::gateway_actor(caf::actor_config& config, actors::backbone& sessions,
                             std::shared_ptr<gateway_slot> slot)
    : mailbox_actor(config), sessions_(sessions), slot_(std::move(slot)) {
  // CAF's others print, or end it by what concerns nobody.
  set_default_handler(caf::drop);
  set_down_handler([](caf::down_msg&) {});
  set_exit_handler([](caf::exit_msg&) {});
  set_error_handler([](caf::error&) {});
  set_exception_handler([this](std::exception_ptr& thrown) -> caf::error {
    log_failure("actors.gateway_broke", what_of(thrown));
    return caf::sec::runtime_error;
  });
}

/// The second gate, behind the firewall: exit messages, links and all else of CAF's stay outside.
void gateway_actor::enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) {
  const auto size =
      size_of_request<remote::emit, remote::sign_of_life, remote::spawn, remote::end, remote::watch,
                      remote::issue_token, remote::leave>(what->content());
  if (size > 0)
    door_->came(size);
  else if (!is_one_of<answer_known, state_entered, peer_gone, look_around, close_gateway, too_late>(
               what->content()))
    return;
  mailbox_actor::enqueue(std::move(what), unit);
}

/// What is thrown at one request, such as that there is no memory, is the end of that one: there are others' sessions here.
template <class Message>
auto gateway_actor::request() {
  using answer = decltype(on(std::declval<Message&>()));
  return [this](Message& m) -> answer {
    door_->handled(size_of(m));
    const auto last_before = last_request_;
    try {
      return on(m);
    } catch (const std::exception& e) {
      failed(e.what(), last_before);
      if constexpr (!std::is_void_v<answer>) return caf::make_error(caf::sec::runtime_error);
    }
  };
}

/// Answers the request if it has been put off.
void gateway_actor::failed(const char* what, std::uint64_t last_before) {
  log_failure("actors.request_failed", what);
  if (last_request_ == last_before) return;
  auto found = waiting_.extract(last_request_);
  if (found.empty()) return;
  --found.mapped().asker->unanswered;
  found.mapped().to.deliver(caf::make_error(caf::sec::runtime_error));
}

template <class Message>
auto gateway_actor::from_within() {
  return [this](Message& m) {
    try {
      on(m);
    } catch (const std::exception& e) {
      log_failure("actors.request_failed", e.what());
    }
  };
}

void gateway_actor::log_failure(std::string_view event, std::string_view what) const {
  if (door_->options.logger) (*door_->options.logger)(severity::error, event, {{"what", what}});
}

caf::behavior gateway_actor::make_behavior() {
  return {
      request<remote::emit>(),
      from_within<answer_known>(),
      from_within<const state_entered>(),
      request<remote::spawn>(),
      request<remote::end>(),
      request<remote::watch>(),
      request<remote::issue_token>(),
      request<remote::sign_of_life>(),
      request<remote::leave>(),
      from_within<const peer_gone>(),
      from_within<const look_around>(),
      from_within<close_gateway>(),
      from_within<const too_late>(),
  };
}

// --- owners ---------------------------------------------------------------------------------------------------------

std::shared_ptr<gateway_actor::owner> gateway_actor::sender() {
  const auto& who = current_sender();
  if (!who || closed_) return nullptr;
  if (const auto known = owners_.find(who->address()); known != owners_.end()) return known->second;
  auto& clients = clients_[who->node()];
  if (clients >= door_->options.max_clients) return nullptr;
  ++clients;
  auto added = std::make_shared<owner>(owner{who, 0, {}});
  owners_.emplace(who->address(), added);
  // Not a monitor: a peer could forge what those send.
  who->get()->attach_functor(
      [slot = slot_, who = who->address()](const caf::error&) { slot->tell(peer_gone{who}); });
  return added;
}

/// It owns nothing any more and is told of nothing.
void gateway_actor::release(const caf::actor_addr& who) {
  const auto at = owners_.find(who);
  if (at == owners_.end()) return;
  const auto owned = std::exchange(at->second->owned, {});
  if (!owned.empty() && door_->options.logger)
    (*door_->options.logger)(severity::info, "actors.owner_lost",
                             {{"sessions", std::uint64_t{owned.size()}}});
  for (const auto& [id, s] : owned) s.lose_owner();
  for (auto& [id, session] : watched_)
    std::erase_if(session.by, [&](const auto& w) { return w->address() == who; });
}

void gateway_actor::forget(const caf::actor_addr& who) {
  if (owners_.erase(who) > 0) {
    const auto clients = clients_.find(who.node());
    if (--clients->second == 0) clients_.erase(clients);
  }
  if (closed_ && owners_.empty()) quit();
}

void gateway_actor::on(const peer_gone& m) {
  release(m.who);
  forget(m.who);
}

/// One that only says so is still there, with what it has not been answered: that bound it cannot shake off.
void gateway_actor::on(remote::leave&) {
  if (!current_sender()) return;
  const auto who = current_sender()->address();
  release(who);
  if (closed_) forget(who);
}

caf::result<remote::sign_of_life> gateway_actor::on(remote::sign_of_life&) {
  if (!sender() && !closed_)
    return caf::make_error(caf::sec::cannot_connect_to_node, std::string{too_many_clients});
  return remote::sign_of_life{};
}

template <class Refusal>
std::uint64_t gateway_actor::put_off(Refusal refusal) {
  auto by = sender();
  const auto& most = door_->options;
  // Of all together too: an owner that goes leaves its requests behind, and may come back as another.
  if (!by || by->unanswered >= most.max_unanswered ||
      waiting_.size() >= most.max_peers * most.max_unanswered) {
    make_response_promise().deliver(std::move(refusal));
    return 0;
  }
  auto& added = waiting_.emplace(++last_request_, waiting{{}, by}).first->second;
  ++by->unanswered;
  added.to = make_response_promise();
  return last_request_;
}

void gateway_actor::on(answer_known& m) {
  auto found = waiting_.extract(m.request);
  if (found.empty()) return;
  --found.mapped().asker->unanswered;
  found.mapped().to.deliver(std::move(m.what));
}

// --- requests -------------------------------------------------------------------------------------------------------

caf::result<remote::spawned> gateway_actor::on(remote::spawn& m) {
  const auto by = sender();
  if (!by && closed_) return remote::spawned{spawn_result::shutting_down, {}, {}, {}};
  if (!by) return remote::spawned{spawn_result::too_many, {}, {}, too_many_clients};
  spawn_options how{std::move(m.id), std::move(m.user), std::move(m.arguments),
                    std::move(m.metadata), nullptr};
  if (m.has_options) {
    mend(m.options);
    how.options = std::make_shared<const session_options>(m.options);
  }
  auto made = sessions_.spawn_session(m.type, std::move(how));
  if (!made) return remote::spawned{made.result, made.session.id(), {}, std::move(made.problem)};
  const auto& id = made.session.id();
  try {
    by->owned.insert_or_assign(id, made.session);
    made.session.set_owner();
    watch_for(made.session, nullptr);
  } catch (...) {
    made.session.end("nobody was told of it");
    throw;
  }
  return remote::spawned{made.result, id, std::move(made.token), {}};
}

void gateway_actor::on(remote::emit& m) {
  const auto number = put_off(remote::emitted{emit_result::overflow, 0, false});
  if (number == 0) return;
  const auto done = [slot = slot_, number](const emit_report& r) {
    slot->tell(
        answer_known{number, caf::make_message(remote::emitted{r.result, r.offset, r.duplicate})});
  };
  const auto there = find(m.session);
  if (!there && sessions_.find_ended_session(m.session)) return done({emit_result::ended});
  const auto wait = std::chrono::milliseconds{
      std::min<std::uint64_t>(m.ack_timeout_ms, static_cast<std::uint64_t>(longest_ack.count()))};
  there.emit(m.type, std::move(m.data), {m.acked, wait, std::move(m.key)}, done);
}

remote::changed gateway_actor::how_it_ended(const std::string& id) const {
  const auto was = sessions_.find_ended_session(id);
  if (!was) return {id, session_state::ended, session_ender::application, "no such session"};
  return {id, session_state::ended, was->info.by, was->info.reason};
}

void gateway_actor::on(remote::end& m) {
  const auto number = put_off(
      remote::changed{m.session, session_state::ended, {}, "refused: too many requests wait"});
  if (number == 0) return;
  const auto there = find(m.session);
  if (!there) return slot_->tell(answer_known{number, caf::make_message(how_it_ended(m.session))});
  there.end(std::move(m.reason), [slot = slot_, number, id = m.session](const session_end& why) {
    slot->tell(answer_known{
        number, caf::make_message(remote::changed{id, session_state::ended, why.by, why.reason})});
  });
}

void gateway_actor::on(remote::issue_token& m) {
  const auto number = put_off(remote::token{});
  if (number == 0) return;
  find(m.session).issue_token([slot = slot_, number](std::string text) {
    slot->tell(answer_known{number, caf::make_message(remote::token{std::move(text)})});
  });
}

void gateway_actor::on(remote::watch& m) {
  const auto by = sender();
  if (!by && !closed_ && current_sender())
    tell(current_sender(),
         {m.session, session_state::ended, {}, std::string{"refused: "} + too_many_clients});
  if (!by) return;
  const auto there = find(m.session);
  if (there && there.state() != session_state::ended) return watch_for(there, by->who);
  tell(by->who, how_it_ended(m.session));
}

/// One watch of each session, however many are told.
void gateway_actor::watch_for(const session& which, const caf::strong_actor_ptr& who) {
  auto& entry = watched_[which.id()];
  auto& by = entry.by;
  if (entry.which != which) {
    // One of the same id, if there was any, has ended, and we have not been told yet.
    for (const auto& w : by) tell(w, how_it_ended(which.id()));
    entry = {.which = which, .state = {}, .by = {}};
    which.watch([slot = slot_, which](session_state s, const session_end& why) {
      slot->tell(state_entered{which, s, why});
    });
  }
  if (!who || std::ranges::find(by, who) != by.end()) return;
  if (by.size() >= most_watchers)
    return tell(who, {which.id(), session_state::ended, {}, refused_watch});
  by.push_back(who);
  if (entry.state) tell(who, {which.id(), *entry.state, {}, {}});
}

void gateway_actor::on(const state_entered& m) {
  const auto at = watched_.find(m.who.id());
  if (at == watched_.end() || at->second.which != m.who) return;
  at->second.told = true;
  enter(m.who, m.state, m.why);
}

void gateway_actor::enter(const session& which, session_state state, const session_end& why) {
  const auto& id = which.id();
  const auto at = watched_.find(id);
  if (at->second.state == state) return;
  at->second.state = state;
  for (const auto& w : at->second.by) tell(w, {id, state, why.by, why.reason});
  if (state != session_state::ended) return;
  watched_.erase(at);
  for (auto& [who, o] : owners_) {
    const auto owned = o->owned.find(id);
    if (owned != o->owned.end() && owned->second == which) o->owned.erase(owned);
  }
}

/// A session that had too many watchers before us tells us nothing: we look.
void gateway_actor::on(const look_around&) {
  delayed_send(this, between_looks, look_around{});
  door_->look_around();
  std::vector<session> silent;
  for (const auto& [id, w] : watched_)
    if (!w.told) silent.push_back(w.which);
  for (const auto& s : silent) {
    const auto state = s.state();
    enter(s, state, state == session_state::ended ? s.why_ended() : session_end{});
  }
}

// --- the end --------------------------------------------------------------------------------------------------------

void gateway_actor::on(close_gateway& m) {
  closed_ = std::move(m.done);
  if (owners_.empty()) return quit();
  delayed_send(this, last_words, too_late{});
  for (const auto& [addr, o] : owners_) {
    for (const auto& [id, s] : o->owned) s.lose_owner();
    caf::anon_send(caf::actor_cast<caf::actor>(o->who), remote::leave{});
  }
}

void gateway_actor::on(const too_late&) { quit(); }

/// However it ends, whom it served are owners no more, and whoever waits for the end is told.
void gateway_actor::on_exit() {
  slot_->set({});
  for (const auto& [addr, o] : std::exchange(owners_, {}))
    for (const auto& [id, s] : o->owned) s.lose_owner();
  if (const auto done = std::exchange(closed_, nullptr)) done();
}

}  // namespace fairlead::actors
