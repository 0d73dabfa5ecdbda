#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <caf/error.hpp>
#include <caf/io/middleman.hpp>
#include <caf/openssl/manager.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/sec.hpp>

#include <fairlead/caf/client.hpp>

#include "actors/caf.hpp"
#include "actors/mailbox_actor.hpp"
#include "actors/receipts.hpp"
#include "protocol/time.hpp"

namespace fairlead {
namespace {

/// One callback that is called once: by its answer, or with an error by whoever lets go of it last.
template <class T>
class answer_slot {
 public:
  explicit answer_slot(answer_from_node<T> done) : done_(std::move(done)) {}
  ~answer_slot() {
    give(caf::make_error(caf::sec::request_receiver_down, "the node, or this client, is gone"));
  }
  answer_slot(const answer_slot&) = delete;
  answer_slot& operator=(const answer_slot&) = delete;
  void give(caf::expected<T> what) noexcept { actors::call_back(done_, std::move(what)); }

 private:
  answer_from_node<T> done_;
};

struct client_actor;

/// From handles, on any thread: do this there.
struct to_client {
  std::function<void(client_actor&)> what;
};
/// From itself, now and then.
struct look_at_node {};

}  // namespace
}  // namespace fairlead

FAIRLEAD_LOCAL_MESSAGE(fairlead::to_client)
FAIRLEAD_LOCAL_MESSAGE(fairlead::look_at_node)

namespace fairlead {
namespace {

constexpr std::chrono::milliseconds one_try{1'000}, retry_after{20};

using state_watcher = std::function<void(const remote::changed&)>;
/// May be told again.
void tell(state_watcher who, const remote::changed& what) noexcept { actors::call_back(who, what); }
void tell_lost(state_watcher who, std::string session) {
  tell(std::move(who),
       {std::move(session), session_state::ended, session_ender::application, "the node is lost"});
}

struct client_actor final : actors::mailbox_actor {
  using steady = std::chrono::steady_clock;
  client_actor(caf::actor_config& config, caf::actor to, std::chrono::milliseconds most_silence,
               std::function<void()> lost)
      : actors::mailbox_actor(config),
        node(std::move(to)),
        silence(most_silence),
        on_lost(std::move(lost)) {
    // Whoever tells it to exit, it is of no use any more. CAF's other defaults print, or end it by what concerns nobody.
    set_exit_handler([this](caf::exit_msg&) { node_lost(); });
    set_default_handler(caf::drop);
    set_error_handler([](caf::error&) {});
    set_exception_handler(
        [](std::exception_ptr&) -> caf::error { return caf::sec::runtime_error; });
  }

  const char* name() const override { return "session_client"; }
  caf::behavior make_behavior() override {
    // As a handler of its own, for a node that is gone before we watch it.
    set_down_handler([this](const caf::down_msg&) { node_lost(); });
    monitor(node);
    return {
        [this](to_client& m) { m.what(*this); },
        [this](const remote::changed& m) { on(m); },
        [this](remote::leave) {  // all that it had to say has been said
          go();
          node_lost();
        },
        [this](look_at_node) { look(); },
    };
  }

  /// Asks for the first sign of life, and ends if there is none in time: then nobody has heard of this client.
  void meet(std::chrono::milliseconds patience, const std::shared_ptr<answer_slot<bool>>& slot) {
    request(node, patience, remote::sign_of_life{})
        .then(
            [this, slot](remote::sign_of_life) {
              met = true;
              heard = steady::now();
              delayed_send(this, silence / 3, look_at_node{});
              slot->give(true);
            },
            [this, slot](caf::error& e) {
              slot->give(std::move(e));
              quit();
            });
  }
  /// Asks for a sign of life. A node of which nothing is heard is lost, whatever its socket says.
  void look() {
    if (steady::now() - heard > silence) return node_lost();
    request(node, caf::infinite, remote::sign_of_life{})
        .then([this](remote::sign_of_life) { heard = steady::now(); }, [](const caf::error&) {});
    delayed_send(this, silence / 3, look_at_node{});
  }
  /// Whose sessions they were is nobody any more.
  void go() { caf::send_as(caf::actor{this}, node, remote::leave{}); }
  /// Of itself, because nobody needs it: nobody is told.
  void leave() {
    on_lost = nullptr;
    watched.clear();
    go();
    quit();
  }

  /// Sends a request; its answer, made a T by `read`, goes into the slot, which otherwise answers with an error.
  template <class Answer, class T, class Request, class Read>
  void ask(Request what, std::shared_ptr<answer_slot<T>> slot, Read read) {
    request(node, caf::infinite, std::move(what))
        .then([slot, read](Answer& a) { slot->give(read(a)); },
              [slot](caf::error& e) { slot->give(std::move(e)); });
  }

  /// The node is asked once for each session: it knows this client, and not who watches here.
  void watch(const std::string& id, const state_watcher& who) {
    const auto [at, is_new] = watched.try_emplace(id);
    at->second.by.push_back(who);
    if (is_new) return send(node, remote::watch{id});
    if (const auto last = at->second.last) tell(who, *last);
  }
  void on(const remote::changed& m) {
    const auto at = watched.find(m.session);
    if (at == watched.end()) return;
    at->second.last = m;
    const auto all = at->second.by;  // who is told may watch as well
    if (m.state == session_state::ended) watched.erase(at);
    for (const auto& told : all) tell(told, m);
  }

  /// However it ends: by what it was told, or by an exception of its own.
  void on_exit() override {
    for (auto& [id, session] : std::exchange(watched, {}))
      for (const auto& told : session.by) tell_lost(told, id);
    if (met) actors::call_back(on_lost);
  }
  void node_lost() {
    on_exit();
    quit();  // which lets go of all open requests
  }

  const caf::actor node;
  const std::chrono::milliseconds silence;
  steady::time_point heard = steady::now();
  bool met = false;
  std::function<void()> on_lost;
  struct watched_session {
    std::optional<remote::changed> last;  // none: not told yet
    std::vector<state_watcher> by;
  };
  std::map<std::string, watched_session> watched;
};

}  // namespace

struct session_client::state {
  state(caf::actor a, std::size_t most) : me(std::move(a)), most_waiting(most) {}
  ~state() {
    run([](client_actor& a) { a.leave(); });
  }
  state(const state&) = delete;
  state& operator=(const state&) = delete;

  void run(std::function<void(client_actor&)> what) const {
    caf::anon_send(me, to_client{std::move(what)});
  }
  const caf::actor me;
  const std::size_t most_waiting;
  std::atomic<std::size_t> waiting{0};  // emits that are not answered
};

namespace {

caf::expected<caf::actor> find_node(caf::actor_system& system, const session_client::options& o,
                                    std::chrono::milliseconds timeout) {
  const auto way =
      o.tls ? system.openssl_manager().actor_handle() : system.middleman().actor_handle();
  caf::scoped_actor self{system};
  caf::expected<caf::actor> node = caf::make_error(caf::sec::cannot_connect_to_node);
  self->request(way, timeout, caf::connect_atom::value, o.host, o.port)
      .receive(
          [&](const caf::node_id&, caf::strong_actor_ptr& found, const std::set<std::string>&) {
            if (found) node = caf::actor_cast<caf::actor>(std::move(found));
          },
          [&](caf::error& e) { node = std::move(e); });
  return node;
}

/// A client whose node has answered it. Nobody else speaks to the node, which counts who does.
caf::expected<caf::actor> find_and_meet(caf::actor_system& system, const session_client::options& o,
                                        std::chrono::milliseconds timeout) {
  auto node = find_node(system, o, timeout);
  if (!node) return node;
  auto me = system.spawn<client_actor>(std::move(*node), o.silence, o.on_lost);
  auto promise = std::make_shared<std::promise<caf::error>>();
  auto met = promise->get_future();
  auto slot = std::make_shared<answer_slot<bool>>([promise](caf::expected<bool> r) {
    promise->set_value(r ? caf::error{} : std::move(r.error()));
  });
  caf::anon_send(
      me, to_client{[timeout, slot = std::move(slot)](client_actor& a) { a.meet(timeout, slot); }});
  if (auto why = met.get()) return why;
  return me;
}

}  // namespace

caf::expected<session_client> session_client::connect(caf::actor_system& system, options o) {
  // CAF remembers whom it found at an address, for a moment even after that one has gone: then the answer is that it is down,
  // or none.
  const auto is_gone = [](const caf::error& e) {
    return e == caf::sec::request_receiver_down || e == caf::sec::request_timeout;
  };
  const auto deadline = std::chrono::steady_clock::now() + protocol::bounded_wait(o.timeout);
  auto me = find_and_meet(system, o, std::min(o.timeout, one_try));
  while (!me && is_gone(me.error())) {
    std::this_thread::sleep_for(retry_after);
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    me = find_and_meet(system, o, std::min(left, one_try));
  }
  if (!me) return std::move(me.error());
  return session_client{std::make_shared<state>(std::move(*me), o.max_waiting)};
}

void session_client::spawn(
    std::string type, spawn_options how,
    std::function<void(caf::expected<remote::spawned>, remote_session)> done) const {
  auto slot = std::make_shared<answer_slot<remote::spawned>>(
      [done = std::move(done), weak = std::weak_ptr{state_}](caf::expected<remote::spawned> r) {
        if (!done) return;
        remote_session handle;
        if (r && !r->id.empty()) handle = {weak.lock(), r->id};
        done(std::move(r), std::move(handle));
      });
  remote::spawn what{std::move(type),
                     std::move(how.id),
                     std::move(how.user),
                     std::move(how.arguments),
                     std::move(how.metadata),
                     how.options != nullptr,
                     how.options ? *how.options : session_options{}};
  state_->run([slot = std::move(slot), what = std::move(what)](client_actor& me) {
    me.ask<remote::spawned>(what, slot, [](remote::spawned& r) { return std::move(r); });
  });
}

remote_session session_client::find(std::string id) const { return {state_, std::move(id)}; }

void remote_session::emit(std::string_view type, std::string data, emit_options how,
                          answer_from_node<emit_report> done) const {
  if (!state_) return static_cast<void>(answer_slot<emit_report>{std::move(done)});
  if (++state_->waiting > state_->most_waiting) {
    --state_->waiting;
    return answer_slot<emit_report>{std::move(done)}.give(emit_report{emit_result::overflow});
  }
  auto slot = std::make_shared<answer_slot<emit_report>>(
      [done = std::move(done), s = std::weak_ptr{state_}](caf::expected<emit_report> r) {
        if (const auto there = s.lock()) --there->waiting;
        if (done) done(std::move(r));
      });
  remote::emit what{id_,
                    std::string{type},
                    std::move(data),
                    std::move(how.key),
                    how.acked,
                    static_cast<std::uint64_t>(how.ack_timeout.count())};
  state_->run([slot = std::move(slot), what = std::move(what)](client_actor& me) {
    me.ask<remote::emitted>(what, slot, [](const remote::emitted& r) {
      return emit_report{r.result, r.offset, r.duplicate};
    });
  });
}

void remote_session::end(std::string reason, answer_from_node<session_end> done) const {
  auto slot = std::make_shared<answer_slot<session_end>>(std::move(done));
  if (!state_) return;
  state_->run(
      [slot = std::move(slot), what = remote::end{id_, std::move(reason)}](client_actor& me) {
        me.ask<remote::changed>(what, slot, [](remote::changed& r) {
          return session_end{r.by, r.reason};
        });
      });
}

void remote_session::issue_token(answer_from_node<std::string> done) const {
  auto slot = std::make_shared<answer_slot<std::string>>(std::move(done));
  if (!state_) return;
  state_->run([slot = std::move(slot), what = remote::issue_token{id_}](client_actor& me) {
    me.ask<remote::token>(what, slot, [](remote::token& r) { return std::move(r.text); });
  });
}

void remote_session::watch(std::function<void(const remote::changed&)> told) const {
  if (!told) return;
  if (!state_) return tell_lost(std::move(told), id_);
  // As a slot, so that a client that has lost its node answers as well.
  auto slot = std::make_shared<answer_slot<bool>>([told, id = id_](caf::expected<bool> r) {
    if (!r) tell_lost(told, id);
  });
  state_->run([slot = std::move(slot), told = std::move(told), id = id_](client_actor& me) {
    slot->give(true);
    me.watch(id, told);
  });
}

}  // namespace fairlead
