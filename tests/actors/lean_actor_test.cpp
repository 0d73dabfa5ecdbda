#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <caf/scoped_actor.hpp>
#include <doctest/doctest.h>

#include "actors/lean_actor.hpp"
#include "actors/pinned_actor.hpp"

/// What connections need of `lean_actor` that CAF's own actors do by themselves: messages, requests, exits, ends.
using namespace fairlead;
using namespace fairlead::actors;

namespace {

/// Turned by the thread that made it; posting is safe from any.
class turned_loop final : public protocol::event_loop {
 public:
  bool post(task t) override {
    const std::lock_guard lock{mutex_};
    tasks_.push_back(std::move(t));
    return true;
  }
  [[nodiscard]] bool inside() const noexcept override {
    return std::this_thread::get_id() == owner_;
  }
  [[nodiscard]] protocol::time_point now() const noexcept override { return {}; }
  [[nodiscard]] protocol::time_point read_clock() const noexcept override { return {}; }
  void schedule(protocol::timer_base&, protocol::time_point) override {}

  void run() {
    for (std::vector<task> some;; some.clear()) {
      {
        const std::lock_guard lock{mutex_};
        some.swap(tasks_);
      }
      if (some.empty()) return;
      for (auto& t : some) t();
    }
  }

 private:
  const std::thread::id owner_ = std::this_thread::get_id();
  std::mutex mutex_;
  std::vector<task> tasks_;
};

struct notes {
  std::vector<int> handled;
  std::vector<std::string> ends;  // on_crash and on_exit
  std::size_t runs = 0, mailbox = 0, downs = 0;
};

/// Notes numbers, and answers requests with twice the number. 0 ends it, -1 is more than it can bear.
class probe final : public lean_actor {
 public:
  probe(caf::actor_config& config, std::shared_ptr<loop_unit> unit, notes& to)
      : lean_actor(config, std::move(unit)), notes_(to) {}

  bool pass(int number) {
    return handle_now([&] { handle(number); });
  }
  void on_exit() override { notes_.ends.push_back("exit"); }

 private:
  caf::behavior& handlers() override { return handlers_; }
  void after_run() override { ++notes_.runs; }
  void on_down(const caf::down_msg&) override { ++notes_.downs; }
  void on_crash(std::string_view what) override { notes_.ends.emplace_back(what); }

  int handle(int number) {
    notes_.mailbox = mailbox_size();
    if (number < 0) throw std::runtime_error{"negative"};
    notes_.handled.push_back(number);
    CHECK_FALSE(pass(99));  // within a run: to be stored
    if (number == 0) quit();
    return 2 * number;
  }

  notes& notes_;
  caf::behavior handlers_{
      [this](int number) { return handle(number); },
      [this](const caf::strong_actor_ptr& whom) { monitor(whom); },
  };
};

struct world {
  world() : config(quiet()), system(config) {}

  static caf::actor_system_config quiet() {
    caf::actor_system_config c;
    c.set("scheduler.max-threads", 1U);
    c.set("scheduler.policy", caf::atom("sharing"));
    return c;
  }
  caf::actor spawn(notes& to) { return caf::actor_cast<caf::actor>(spawn_pinned<probe>(unit, to)); }
  static probe& behind(const caf::actor& a) {
    return static_cast<probe&>(*caf::actor_cast<caf::abstract_actor*>(a));
  }
  /// Asks for twice a number and turns the loop: the answer, or the error.
  template <class Question>
  caf::expected<int> ask(const caf::actor& whom, Question question) {
    caf::scoped_actor asker{system};
    auto asked = asker->request(whom, std::chrono::seconds{10}, std::move(question));
    loop->run();
    caf::expected<int> answer = caf::sec::none;
    asked.receive([&](int n) { answer = n; }, [&](caf::error& e) { answer = std::move(e); });
    return answer;
  }

  caf::actor_system_config config;
  caf::actor_system system;
  std::shared_ptr<turned_loop> loop = std::make_shared<turned_loop>();
  std::shared_ptr<loop_unit> unit = std::make_shared<loop_unit>(system, loop);
};

/// For one death: why.
caf::error told(world& w, const caf::scoped_actor& monitor) {
  w.loop->run();
  caf::error why = caf::sec::none;
  int downs = 0;
  monitor->receive_while([&] { return downs == 0; })(
      [&](const caf::down_msg& d) { why = d.reason, ++downs; },
      caf::after(std::chrono::seconds{10}) >>
          [&] {
            ++downs;
            FAIL_CHECK("nobody was told");
          });
  return why;
}

}  // namespace

TEST_SUITE_BEGIN("lean_actor");

TEST_CASE("messages are handled in order, in one run, and requests are answered") {
  world w;
  notes n;
  const auto a = w.spawn(n);
  for (int i = 1; i <= 3; ++i) caf::anon_send(a, i);
  CHECK(n.handled.empty());
  w.loop->run();
  CHECK(n.handled == std::vector{1, 2, 3});
  CHECK(n.mailbox == 0);
  CHECK(n.runs == 1);
  CHECK(w.ask(a, 21) == 42);
  caf::anon_send(a, 0);
  w.loop->run();
}

TEST_CASE("the size of the mailbox is what waits behind the message that is handled") {
  world w;
  notes n;
  const auto a = w.spawn(n);
  for (const int i : {0, 1, 2, 3}) caf::anon_send(a, i);
  w.loop->run();
  CHECK(n.mailbox == 3);
}

TEST_CASE("a run is bounded: 1,000 messages are several, and none is left") {
  world w;
  notes n;
  const auto a = w.spawn(n);
  for (int i = 1; i <= 1000; ++i) caf::anon_send(a, i);
  w.loop->run();
  CHECK(n.handled.size() == 1000);
  CHECK(std::ranges::is_sorted(n.handled));
  CHECK(n.runs > 1);
  caf::anon_send_exit(a, caf::exit_reason::kill);
  w.loop->run();
}

TEST_CASE("what it cannot handle is refused, and changes nothing") {
  world w;
  notes n;
  const auto a = w.spawn(n);
  CHECK(w.ask(a, std::string{"what?"}).error() == caf::sec::unexpected_message);
  caf::anon_send(a, caf::make_error(caf::sec::runtime_error));
  CHECK(w.ask(a, 1) == 2);
  caf::anon_send(a, 0);
  w.loop->run();
}

TEST_CASE("quitting: monitors are told, the rest of the mailbox is refused, and so is what comes") {
  world w;
  notes n;
  const auto a = w.spawn(n);
  caf::scoped_actor monitor{w.system};
  monitor->monitor(a);
  caf::anon_send(a, 0);
  caf::anon_send(a, std::string{"for the bin"});
  CHECK(w.ask(a, 1).error() == caf::sec::request_receiver_down);
  CHECK(told(w, monitor) == caf::exit_reason::normal);
  CHECK(n.handled == std::vector{0});
  CHECK(n.ends == std::vector<std::string>{"exit"});
  CHECK(n.runs == 0);
  CHECK(w.ask(a, 1).error() == caf::sec::request_receiver_down);
  caf::anon_send(a, 1);
  w.loop->run();
  monitor->monitor(a);  // told at once
  CHECK(told(w, monitor) == caf::exit_reason::normal);
  CHECK(n.handled == std::vector{0});
}

TEST_CASE("exit messages: a normal one is nothing, another ends it with its reason, links too") {
  world w;
  notes n, m;
  const auto a = w.spawn(n), b = w.spawn(m);
  world::behind(a).link_to(b);
  caf::scoped_actor monitor{w.system};
  monitor->monitor(b);
  caf::anon_send_exit(a, caf::exit_reason::normal);
  CHECK(w.ask(a, 1) == 2);
  caf::anon_send_exit(a, caf::exit_reason::user_shutdown);
  CHECK(told(w, monitor) == caf::exit_reason::user_shutdown);
  CHECK(n.ends == std::vector<std::string>{"exit"});
  CHECK(m.ends == n.ends);
}

TEST_CASE("it monitors others") {
  world w;
  notes n, m;
  const auto a = w.spawn(n), b = w.spawn(m);
  caf::anon_send(a, caf::actor_cast<caf::strong_actor_ptr>(b));
  w.loop->run();
  caf::anon_send(b, 0);
  w.loop->run();
  CHECK(n.downs == 1);
  caf::anon_send(a, 0);
  w.loop->run();
}

TEST_CASE("a handler that throws ends it, in a run of its own or in one that passes the mailbox") {
  for (const bool passes : {false, true}) {
    CAPTURE(passes);
    world w;
    notes n;
    const auto a = w.spawn(n);
    caf::scoped_actor monitor{w.system};
    monitor->monitor(a);
    if (passes) {
      CHECK(world::behind(a).pass(-1));
      CHECK(n.ends == std::vector<std::string>{"negative"});  // who called may still need it
      CHECK_FALSE(world::behind(a).pass(1));
    } else {
      caf::anon_send(a, -1);
    }
    CHECK(told(w, monitor) == caf::sec::runtime_error);
    CHECK(n.ends == std::vector<std::string>{"negative", "exit"});
    CHECK(n.handled.empty());
  }
}

TEST_CASE("a message passes an empty mailbox, and none that holds something") {
  world w;
  notes n;
  const auto a = w.spawn(n);
  CHECK(world::behind(a).pass(1));
  CHECK(n.runs == 1);
  caf::anon_send(a, 2);
  CHECK_FALSE(world::behind(a).pass(3));
  w.loop->run();
  CHECK(world::behind(a).pass(4));
  CHECK(n.handled == std::vector{1, 2, 4});
  caf::anon_send(a, 0);
  w.loop->run();
}

TEST_CASE("threads that send while it ends: each request gets its one answer, each message goes") {
  for (int round = 0; round < 20; ++round) {
    world w;
    notes n;
    auto a = w.spawn(n);
    caf::weak_actor_ptr gone = caf::actor_cast<caf::weak_actor_ptr>(a);
    std::atomic<int> answers{0}, running{3};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t)
      threads.emplace_back([&, a] {
        caf::scoped_actor asker{w.system};
        for (int i = 1; i <= 50; ++i) {
          caf::anon_send(a, i);
          if (i == 25) caf::anon_send(a, 0);
          asker->request(a, std::chrono::seconds{30}, i)
              .receive([&](int) { ++answers; }, [&](const caf::error&) { ++answers; });
        }
        --running;
      });
    a = nullptr;
    while (running > 0) w.loop->run();
    for (auto& t : threads) t.join();
    w.loop->run();
    threads.clear();
    CHECK(answers == 150);
    CHECK(n.ends == std::vector<std::string>{"exit"});
    CHECK_FALSE(gone.lock());
  }
}

TEST_SUITE_END();
