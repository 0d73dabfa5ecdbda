#include "service/reply_desk.hpp"

#include <utility>

namespace fairlead::service {

reply_desk::answer reply_desk::open(net::respond respond, std::chrono::milliseconds timeout,
                                    net::http_response stand_in) {
  const auto ticket = ++last_ticket_;
  auto late = [this, ticket, stand_in = std::move(stand_in)] { finish(ticket, stand_in); };
  auto& entry = waiting_[ticket];
  entry.respond = std::move(respond);
  entry.timer = std::make_unique<protocol::timer>(std::move(late));
  loop_->schedule(*entry.timer, loop_->now() + timeout);
  return [weak = weak_from_this(), loop = loop_, ticket](net::http_response response) {
    loop->post([weak, ticket, response = std::move(response)]() mutable {
      if (const auto desk = weak.lock()) desk->finish(ticket, std::move(response));
    });
  };
}

void reply_desk::finish(std::uint64_t ticket, net::http_response response) {
  auto entry = waiting_.extract(ticket);
  if (entry.empty()) return;
  entry.mapped().respond(std::move(response));
  // We may be inside this very timer's task, which has to outlive its own run.
  entry.mapped().timer->cancel();
  loop_->post([last = std::shared_ptr{std::move(entry.mapped().timer)}] {});
}

}  // namespace fairlead::service
