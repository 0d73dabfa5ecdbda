#include "net/loop.hpp"

#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <pthread.h>

#include "net/door.hpp"
#include "net/poller.hpp"
#include "net/signals_blocked.hpp"

namespace fairlead::net {
namespace {

using std::chrono::steady_clock;

/// What the thread needs. Owned by the thread and the handle together, so that a handle may be dropped anywhere.
struct engine {
  engine(std::size_t number, std::shared_ptr<log> sink)
      : index(number),
        logger(std::move(sink)),
        context(std::in_place, 1),
        alarm(std::in_place, *context),
        wheel(steady_clock::now()),
        sockets(std::in_place, *context, [this] { time_is_fresh = false; }) {}

  void run() noexcept;
  void run_task(const protocol::event_loop::task&) noexcept;
  void report(const char* what) noexcept;
  void set_alarm();
  void ring();

  const std::size_t index;
  const std::shared_ptr<log> logger;
  door entrance;
  std::optional<boost::asio::io_context> context;
  std::optional<boost::asio::steady_timer> alarm;  // for the wheel's next timer
  protocol::timer_wheel wheel;
  protocol::time_point alarm_at = protocol::time_point::max();
  protocol::time_point time;
  bool time_is_fresh = false;
  std::optional<poller> sockets;
};

thread_local engine* current = nullptr;

void engine::report(const char* what) noexcept {
  if (logger)
    (*logger)(severity::error, "loop.exception", {{"loop", std::uint64_t{index}}, {"what", what}});
}

void engine::run_task(const protocol::event_loop::task& t) noexcept {
  time_is_fresh = false;
  try {
    t();
  } catch (const std::exception& e) {
    report(e.what());
  } catch (...) {
    report("not a std::exception");
  }
}

void engine::run() noexcept {
  current = this;
  const auto work = boost::asio::make_work_guard(*context);
  for (bool stopped = false; !stopped;) {
    try {
      context->run();
      stopped = true;
    } catch (const std::exception& e) {  // from a handler that is not a task
      report(e.what());
    } catch (...) {
      report("not a std::exception");
    }
  }
}

/// One alarm for all timers, and none while there are none.
void engine::set_alarm() {
  const auto when = wheel.next();
  if (when >= alarm_at || !alarm) return;  // one that rings too early looks and is set again
  alarm_at = when;
  alarm->expires_at(when);
  alarm->async_wait([this](const boost::system::error_code& ec) {
    if (!ec) ring();
  });
}

void engine::ring() {
  time_is_fresh = false;
  alarm_at = protocol::time_point::max();
  try {
    wheel.advance(steady_clock::now());
  } catch (...) {
    set_alarm();
    throw;
  }
  set_alarm();
}

class loop_thread final : public loop {
 public:
  loop_thread(std::size_t index, std::shared_ptr<log> logger)
      : engine_(std::make_shared<engine>(index, std::move(logger))) {
    const signals_blocked in_this_scope;
    thread_ = std::thread([e = engine_] {
      pthread_setname_np(pthread_self(), ("fairlead-" + std::to_string(e->index)).c_str());
      e->run();
      // Handlers that are left die here, on the thread that their objects belong to.
      e->sockets.reset();
      e->alarm.reset();
      e->context.reset();
      current = nullptr;
    });
  }

  ~loop_thread() override {
    if (!thread_.joinable()) return;
    if (!inside()) {
      stop();
      return;
    }
    // The last handle was dropped by a task of its own. The thread owns the engine and ends after this task.
    engine_->context->stop();
    thread_.detach();
  }

  bool post(task t) override {
    if (!engine_->entrance.enter()) return false;
    struct leave {
      door& d;
      ~leave() { d.leave(); }
    } const when_done{engine_->entrance};
    boost::asio::post(*engine_->context, [e = engine_.get(), t = std::move(t)] { e->run_task(t); });
    return true;
  }

  bool inside() const noexcept override { return current == engine_.get(); }

  protocol::time_point now() const noexcept override {
    if (!std::exchange(engine_->time_is_fresh, true)) engine_->time = steady_clock::now();
    return engine_->time;
  }

  protocol::time_point read_clock() const noexcept override { return steady_clock::now(); }

  void schedule(protocol::timer_base& t, protocol::time_point when) override {
    engine_->wheel.schedule(t, when);
    engine_->set_alarm();
  }

  void stop() override {
    engine_->entrance.close();
    const std::lock_guard one_at_a_time(stopping_);
    if (!thread_.joinable()) return;
    // Everything posted from outside is queued by now. What the running handler itself posted is queued when that
    // handler returns, perhaps behind the first of these two, but before the second.
    boost::asio::post(*engine_->context, [e = engine_.get()] {
      boost::asio::post(*e->context, [e] { e->context->stop(); });
    });
    thread_.join();
  }

  std::size_t index() const noexcept override { return engine_->index; }
  boost::asio::io_context& context() noexcept override { return *engine_->context; }
  poller& sockets() noexcept override { return *engine_->sockets; }
  void begin_turn() noexcept override { engine_->time_is_fresh = false; }

 private:
  const std::shared_ptr<engine> engine_;
  std::mutex stopping_;
  std::thread thread_;
};

}  // namespace

std::shared_ptr<loop> loop::start(std::size_t index, std::shared_ptr<log> logger) {
  return std::make_shared<loop_thread>(index, std::move(logger));
}

}  // namespace fairlead::net
