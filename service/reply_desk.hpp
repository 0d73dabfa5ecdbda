#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "net/http.hpp"
#include "protocol/ports.hpp"

namespace fairlead::service {

/// Answers HTTP requests whose answer may come late or never: a send to a client that does not read is settled only when
/// the client reads or is gone. Each request gets exactly one answer, the real one or, after a time-out, a stand-in.
class reply_desk : public std::enable_shared_from_this<reply_desk> {
 public:
  /// `loop` is where requests arrive, and where all answers are given.
  explicit reply_desk(std::shared_ptr<protocol::event_loop> loop) : loop_(std::move(loop)) {}

  using answer = std::function<void(net::http_response)>;
  /// Takes a request in, on the loop's thread. The function that it returns may be called from any thread, and after
  /// the time-out too: then it does nothing.
  [[nodiscard]] answer open(net::respond, std::chrono::milliseconds timeout,
                            net::http_response stand_in);

 private:
  struct waiting {
    net::respond respond;
    std::unique_ptr<protocol::timer> timer;
  };
  void finish(std::uint64_t ticket, net::http_response);

  std::shared_ptr<protocol::event_loop> loop_;
  std::uint64_t last_ticket_ = 0;
  std::unordered_map<std::uint64_t, waiting> waiting_;  // touched on the loop's thread alone
};

}  // namespace fairlead::service
