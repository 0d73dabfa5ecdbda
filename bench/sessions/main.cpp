// What a session costs beside its connection: memory of 10,000 of each, and CPU of an emit next to a plain send.
//
//   fairlead_sessions memory [--count N]     plain connections, then sessions with a socket each, in a process of their own
//   fairlead_sessions emit [--sessions N] [--seconds S]
//
// The server is in this process, with one event loop; its clients are in a child, which only reads. JSON on stdout.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <fairlead/server.hpp>

#include "bench/common/descriptor.hpp"
#include "bench/common/handshake.hpp"
#include "bench/common/poller.hpp"

namespace {

using namespace fairlead;
using bench::descriptor;
using steady = std::chrono::steady_clock;

std::uint64_t cpu_ns() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(t.tv_nsec);
}

std::uint64_t resident_bytes() {
  std::ifstream file{"/proc/self/smaps_rollup"};
  std::string word;
  for (std::uint64_t kb = 0; file >> word;)
    if (word == "Rss:" && file >> kb) return kb * 1024;
  throw std::runtime_error{"no Rss in /proc/self/smaps_rollup"};
}

// --- the child: sockets that only read ------------------------------------------------------------------------------

descriptor connect_to(std::uint16_t port, const std::string& target) {
  descriptor socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
    throw std::runtime_error{"connect"};
  const auto request = fmt::format(
      "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
      target);
  if (::send(socket.get(), request.data(), request.size(), 0) !=
      static_cast<ssize_t>(request.size()))
    throw std::runtime_error{"send"};
  std::array<char, 4096> answer{};
  const auto n = ::recv(socket.get(), answer.data(), answer.size(), 0);
  if (n < 12 || std::string_view{answer.data(), 12} != "HTTP/1.1 101")
    throw std::runtime_error{"no upgrade for " + target};
  ::fcntl(socket.get(), F_SETFL, O_NONBLOCK);
  return socket;
}

/// Connects to every target, says so by closing `ready`, and reads until its parent's end of `stop` is closed.
[[noreturn]] void be_clients(std::uint16_t port, const std::vector<std::string>& targets,
                             descriptor ready, const descriptor& stop) {
  try {
    bench::raise_descriptor_limit();
    std::vector<descriptor> sockets;
    for (const auto& target : targets) sockets.push_back(connect_to(port, target));
    bench::poller poller;
    for (std::size_t i = 0; i < sockets.size(); ++i)
      poller.add(sockets[i].get(), {.fd = sockets[i].get()}, EPOLLIN | EPOLLRDHUP);
    poller.add(stop.get(), {.fd = stop.get()}, EPOLLIN | EPOLLRDHUP);
    static_cast<void>(::write(ready.get(), "+", 1));
    std::vector<char> trash(1U << 18U);
    while (true) {
      for (const auto& event : poller.wait(-1)) {
        if (event.data.fd == stop.get()) ::_exit(0);
        while (::recv(event.data.fd, trash.data(), trash.size(), 0) > 0) {
        }
      }
    }
  } catch (const std::exception& e) {
    fmt::print(stderr, "clients: {}\n", e.what());
    ::_exit(1);
  }
}

/// The child. To be made before there are threads, told what to connect to later.
class clients {
 public:
  clients() {
    if (::pipe2(orders_.data(), O_CLOEXEC) != 0 || ::pipe2(ready_.data(), O_CLOEXEC) != 0)
      throw std::runtime_error{"pipe"};
    child_ = ::fork();
    if (child_ != 0) return;
    ::close(orders_[1]);
    std::string text;
    std::array<char, 65536> part{};
    while (text.find("\n\n") == std::string::npos) {
      const auto n = ::read(orders_[0], part.data(), part.size());
      if (n <= 0) ::_exit(0);
      text.append(part.data(), static_cast<std::size_t>(n));
    }
    std::vector<std::string> targets;
    std::size_t at = text.find('\n') + 1;
    for (auto end = text.find('\n', at); end != at; at = end + 1, end = text.find('\n', at))
      targets.push_back(text.substr(at, end - at));
    be_clients(static_cast<std::uint16_t>(std::stoi(text)), targets, descriptor{ready_[1]},
               descriptor{orders_[0]});
  }
  ~clients() {
    ::close(orders_[1]);
    ::waitpid(child_, nullptr, 0);
  }
  clients(const clients&) = delete;
  clients& operator=(const clients&) = delete;

  void connect(const server& s, const std::vector<std::string>& targets) const {
    std::string text = s.address().substr(s.address().rfind(':') + 1) + '\n';
    for (const auto& target : targets) text += target + '\n';
    text += '\n';
    for (std::size_t at = 0; at < text.size();) {
      const auto n = ::write(orders_[1], text.data() + at, text.size() - at);
      if (n <= 0) throw std::runtime_error{"the clients are gone"};
      at += static_cast<std::size_t>(n);
    }
    char done = 0;
    ::close(ready_[1]);
    if (::read(ready_[0], &done, 1) != 1) throw std::runtime_error{"the clients failed"};
  }

 private:
  std::array<int, 2> orders_{}, ready_{};
  pid_t child_ = 0;
};

// --- the server -----------------------------------------------------------------------------------------------------

struct rig {
  clients peers;
  std::atomic<std::size_t> opened{0};
  std::vector<connection> connections;
  std::mutex mutex;
  server s;

  explicit rig(std::size_t count) {
    connections.reserve(count);
    server_options o{.listen = "127.0.0.1:0", .threads = 1};
    o.limits.max_connections = count + 10;
    o.limits.max_connections_per_address = count + 10;
    o.limits.max_sessions = count + 10;
    o.session_types["bench"] = {};
    o.on_open = [this](const connection& c) {
      const std::lock_guard lock{mutex};
      connections.push_back(c);
      ++opened;
    };
    s.start(o);
  }
};

/// Sessions with a socket each.
std::vector<session> attach(rig& r, std::size_t count) {
  std::vector<session> sessions;
  std::vector<std::string> targets;
  sessions.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto made = r.s.spawn_session("bench", {.id = fmt::format("s{}", i)});
    if (!made) throw std::runtime_error{"spawn: " + std::string{to_string(made.result)}};
    targets.push_back(fmt::format("/ws?session=s{}&token={}", i, made.token));
    sessions.push_back(made.session);
  }
  r.peers.connect(r.s, targets);
  for (const auto& s : sessions)
    while (s.state() != session_state::attached) std::this_thread::yield();
  return sessions;
}
void connect_plain(rig& r, std::size_t count) {
  r.peers.connect(r.s, std::vector<std::string>(count, "/ws"));
  while (r.opened < count) std::this_thread::yield();
}

/// In a process of its own, whose heap nothing else has touched. What it returns, in bytes.
std::uint64_t in_a_child(const std::function<std::uint64_t()>& measure) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::runtime_error{"pipe"};
  if (::fork() == 0) {
    try {
      const auto result = measure();
      static_cast<void>(::write(pipe[1], &result, sizeof result));
      ::_exit(0);
    } catch (const std::exception& e) {
      fmt::print(stderr, "fairlead_sessions: {}\n", e.what());
      ::_exit(1);
    }
  }
  ::close(pipe[1]);
  std::uint64_t result = 0;
  if (::read(pipe[0], &result, sizeof result) != sizeof result)
    throw std::runtime_error{"a measuring process failed"};
  ::close(pipe[0]);
  ::wait(nullptr);
  return result;
}

void settle() { std::this_thread::sleep_for(std::chrono::milliseconds{500}); }

int measure_memory(std::size_t count) {
  const auto plain = in_a_child([&] {
    rig r{count};
    const auto before = resident_bytes();
    connect_plain(r, count);
    settle();
    return resident_bytes() - before;
  });
  const auto detached = in_a_child([&] {
    rig r{count};
    const auto before = resident_bytes();
    for (std::size_t i = 0; i < count; ++i)
      static_cast<void>(r.s.spawn_session("bench", {.id = fmt::format("s{}", i)}));
    settle();
    return resident_bytes() - before;
  });
  const auto both = in_a_child([&] {
    rig r{count};
    const auto before = resident_bytes();
    const auto sessions = attach(r, count);
    settle();
    // The handles' vector is ours, not the server's.
    return resident_bytes() - before - sessions.capacity() * sizeof(session);
  });
  fmt::print("{{\"count\": {}, \"connection_bytes\": {}, \"detached_session_bytes\": {}, "
             "\"session_beyond_its_connection_bytes\": {}}}\n",
             count, plain / count, detached / count,
             (static_cast<std::int64_t>(both) - static_cast<std::int64_t>(plain)) /
                 static_cast<std::int64_t>(count));
  return 0;
}

struct pace {
  std::atomic<std::uint64_t> done{0};
  std::uint64_t sent = 0;
  /// Lets no more than so many be under way.
  void wait(std::uint64_t most) const {
    // Asleep, since CPU is what is measured.
    while (sent - done.load(std::memory_order_relaxed) > most)
      std::this_thread::sleep_for(std::chrono::microseconds{20});
  }
};

/// CPU per message of `send(i, done)` over `targets` for a while: the sender's and the loop's.
template <class Send>
double cost(std::size_t targets, std::chrono::milliseconds time, std::uint64_t in_flight,
            Send send) {
  pace p;
  const auto round = [&] {
    for (std::size_t i = 0; i < targets; ++i) {
      p.wait(in_flight);
      ++p.sent;
      send(i, [&p] { p.done.fetch_add(1, std::memory_order_relaxed); });
    }
  };
  const auto warm = steady::now() + time / 4;
  while (steady::now() < warm) round();
  p.wait(0);
  const auto sent = p.sent, cpu = cpu_ns();
  const auto end = steady::now() + time;
  while (steady::now() < end) round();
  p.wait(0);
  return static_cast<double>(cpu_ns() - cpu) / static_cast<double>(p.sent - sent);
}

constexpr std::size_t windows = 15;  // of each kind, in turn

int measure_emit(std::size_t count, std::chrono::milliseconds time, std::uint64_t in_flight) {
  const std::string data = R"({"step":17,"text":")" + std::string(40, 'x') + "\"}";
  rig plain{count};
  rig with_sessions{count};
  connect_plain(plain, count);
  const auto sessions = attach(with_sessions, count);
  // As long as the frame that an emit makes of the data.
  const std::string frame(data.size() + 95, 'x');
  std::vector<double> sends, emits;
  for (std::size_t i = 0; i < windows; ++i) {
    sends.push_back(cost(count, time, in_flight, [&](std::size_t to, auto done) {
      plain.connections[to].send(message::text(frame), [done](send_result) { done(); });
    }));
    emits.push_back(cost(count, time, in_flight, [&](std::size_t to, auto done) {
      sessions[to].emit("step", data, [done](const emit_report&) { done(); });
    }));
  }
  std::vector<double> ratios;
  for (std::size_t i = 0; i < windows; ++i) ratios.push_back(emits[i] / sends[i]);
  const auto median = [](std::vector<double> of) {
    std::ranges::nth_element(of, of.begin() + windows / 2);
    return of[windows / 2];
  };
  fmt::print("{{\"sessions\": {}, \"in_flight\": {}, \"send_ns\": {:.0f}, \"emit_ns\": {:.0f}, "
             "\"ratio\": {:.3f}}}\n",
             count, in_flight, median(sends), median(emits), median(ratios));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"What a session costs beside its connection."};
  app.require_subcommand(1);
  std::size_t count = 10'000, sessions = 200;
  std::uint64_t in_flight = 1'000;
  double seconds = 0.3;
  auto* const memory = app.add_subcommand("memory", "resident memory of N of each");
  memory->add_option("--count", count, "how many")->check(CLI::Range(1, 19'000));
  auto* const emit = app.add_subcommand("emit", "CPU of an emit next to a plain send");
  emit->add_option("--sessions", sessions, "how many")->check(CLI::Range(1, 5'000));
  emit->add_option("--seconds", seconds, "of each of thirty windows")
      ->check(CLI::Range(0.01, 60.0));
  emit->add_option("--in-flight", in_flight, "messages under way, at most")
      ->check(CLI::Range(1, 1'000'000));
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGPIPE, SIG_IGN);
  bench::raise_descriptor_limit();
  try {
    if (*memory) return measure_memory(count);
    return measure_emit(sessions, std::chrono::milliseconds{static_cast<int>(seconds * 1e3)},
                        in_flight);
  } catch (const std::exception& e) {
    fmt::print(stderr, "fairlead_sessions: {}\n", e.what());
    return 1;
  }
}
