#include "net/poller.hpp"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <system_error>
#include <utility>

#include <boost/asio/post.hpp>
#include <sys/epoll.h>
#include <unistd.h>

namespace fairlead::net {
namespace {

constexpr std::uint32_t finished = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

int create_set() {
  const int set = ::epoll_create1(EPOLL_CLOEXEC);
  if (set < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  return set;
}

int control(int set, int operation, watched& which, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &which;
  return ::epoll_ctl(set, operation, which.descriptor(), &event);
}

}  // namespace

// --- one descriptor -------------------------------------------------------------------------------------------------

watched::~watched() {
  if (!closed_) ::close(descriptor_);
}

void watched::wait_readable() {
  if (readable_) poller_.enqueue(*this);
}

void watched::wait_writable() {
  // Only those that ask hear of it. To ask again looks again.
  control(poller_.set_.native_handle(), EPOLL_CTL_MOD, *this,
          EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

void watched::read_when_writable() {
  readable_ = true;  // so that whatever happens next lets the reader try
  wait_writable();
}

void watched::on_events(std::uint32_t events) {
  if ((events & finished) != 0) ending_ = true;
  if ((events & (EPOLLIN | finished)) != 0) readable_ = true;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0 && writer.get()) writer.get()->run();
  run_reader();
}

void watched::abort_all() {
  if (reader.get()) reader.get()->abort();
  if (writer.get()) writer.get()->abort();
}

void watched::run_reader() {
  if (!closed_ && readable_ && reader.get()) reader.get()->run();
}

// --- all of them ----------------------------------------------------------------------------------------------------

poller::poller(asio::io_context& context, std::function<void()> begin_turn)
    : set_(context, create_set()), begin_turn_(std::move(begin_turn)) {
  wait();
}

std::unique_ptr<watched> poller::watch(int descriptor) {
  auto added = std::make_unique<watched>(*this, descriptor);
  if (control(set_.native_handle(), EPOLL_CTL_ADD, *added, EPOLLIN | EPOLLRDHUP | EPOLLET) != 0)
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  return added;
}

void poller::close(std::unique_ptr<watched> gone) noexcept {
  ::close(gone->descriptor_);
  gone->closed_ = true;
  gone->abort_all();
  if (gone->queued_) std::erase(queued_, gone.get());
  if (in_turn_) dead_.push_back(std::move(gone));
}

void poller::enqueue(watched& which) {
  if (std::exchange(which.queued_, true)) return;
  if (queued_.empty()) asio::post(executor(), [this] { on_queued(); });
  queued_.push_back(&which);
}

void poller::wait() {
  set_.async_wait(decltype(set_)::wait_read, [this](const error_code& ec) {
    if (!ec) on_events();
  });
}

/// An event is told once: all are handled, whatever one of them throws.
template <class Each>
void poller::turn(std::size_t count, Each each) {
  begin_turn_();
  std::exception_ptr thrown;
  in_turn_ = true;
  for (std::size_t i = 0; i < count; ++i) {
    try {
      each(i);
    } catch (...) {
      thrown = std::current_exception();
    }
  }
  in_turn_ = false;
  dead_.clear();
  if (thrown) std::rethrow_exception(thrown);
}

void poller::on_events() {
  std::array<epoll_event, events_per_turn> events;
  const int count = ::epoll_wait(set_.native_handle(), events.data(), events.size(), 0);
  wait();
  turn(static_cast<std::size_t>(std::max(count, 0)), [&](std::size_t i) {
    auto& which = *static_cast<watched*>(events[i].data.ptr);
    if (!which.closed_) which.on_events(events[i].events);
  });
}

void poller::on_queued() {
  running_.clear();
  running_.swap(queued_);
  for (watched* which : running_) which->queued_ = false;
  turn(running_.size(), [this](std::size_t i) { running_[i]->run_reader(); });
}

}  // namespace fairlead::net
