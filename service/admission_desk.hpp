#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <fairlead/admission.hpp>
#include <fairlead/log.hpp>

#include "actors/backbone.hpp"
#include "net/http.hpp"
#include "protocol/limit_hit.hpp"
#include "service/token.hpp"
#include "service/upgrade_refusals.hpp"

namespace fairlead::service {

struct admission_options {
  actors::backbone* backbone = nullptr;    ///< outlives what uses this
  std::shared_ptr<token_verifier> tokens;  ///< null: none are asked for
  upgrade_hook on_upgrade;                 ///< may be empty
  async_upgrade_hook on_upgrade_async;     ///< may be empty
  std::shared_ptr<log> logger;             ///< null: silent
  std::shared_ptr<protocol::limit_hits> hits;
  std::shared_ptr<upgrade_refusals> refusals;
  std::function<bool()> refusing;  ///< nobody is accepted any more
};

/// Decides who comes in: by the token, then by the hook, then by the user's limit. On the loop of each request, on several
/// at once. Outlives the sockets of its listener.
class admission_desk {
 public:
  explicit admission_desk(admission_options o) : options_(std::move(o)) {}

  /// A request, and the session that it is for, if it is for one. As `net::http_service::upgrade`.
  [[nodiscard]] std::optional<net::http_response>
  decide(std::size_t loop, const upgrade_request&, std::unique_ptr<const protocol::attach_request>,
         net::upgrade_turn&);

  /// Refuses one, which is logged and counted.
  [[nodiscard]] net::http_response turn_away(const upgrade_request&, const refuse&,
                                             upgrade_refusal) const;
  /// The same for all while nobody is accepted, which is only counted.
  [[nodiscard]] net::http_response stopping() const;

 private:
  /// What is known of a request while it is decided on.
  struct visitor;
  using visitor_ptr = std::shared_ptr<visitor>;

  [[nodiscard]] std::string shown(std::string_view target) const;
  [[nodiscard]] std::optional<net::http_response> check_token(const upgrade_request&,
                                                              visitor&) const;
  [[nodiscard]] net::http_response unauthorized(const visitor&, upgrade_refusal) const;
  [[nodiscard]] std::optional<admission> ask(const upgrade_request&, const visitor&) const;
  [[nodiscard]] std::optional<net::http_response> ask_later(const upgrade_request&,
                                                            const visitor_ptr&, net::upgrade_turn&);
  [[nodiscard]] std::shared_ptr<void> take_slot();
  [[nodiscard]] net::http_response give_up(const visitor&, net::wait_end) const;
  /// `answer`: the hook's; null where it failed.
  [[nodiscard]] std::optional<net::http_response> conclude(visitor&, const admission* answer,
                                                           net::upgrade_turn&) const;
  [[nodiscard]] std::optional<net::http_response> let_in(visitor&, admit, net::upgrade_turn&) const;
  [[nodiscard]] net::http_response turn_away(const visitor&, const refuse&, upgrade_refusal) const;
  void hook_threw(const visitor&, std::string_view what) const;

  const admission_options options_;
  const std::shared_ptr<std::atomic<std::size_t>> pending_ =
      std::make_shared<std::atomic<std::size_t>>(0);
};

}  // namespace fairlead::service
