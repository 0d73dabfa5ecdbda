#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <fairlead/log.hpp>

#include "actors/backbone.hpp"
#include "net/http.hpp"
#include "service/metrics.hpp"
#include "service/reply_desk.hpp"
#include "service/server_status.hpp"
#include "service/session_api.hpp"

namespace fairlead::service {

struct internal_api_options {
  actors::backbone* backbone = nullptr;        ///< outlives the listener that serves this
  std::shared_ptr<protocol::event_loop> loop;  ///< where requests arrive
  std::string token;                           ///< empty: none is asked for
  std::shared_ptr<log> logger;                 ///< null: silent
  std::function<server_status()> status;
  std::shared_ptr<const protocol::limit_hits> hits = {};
  std::shared_ptr<const upgrade_refusals> refusals = std::make_shared<const upgrade_refusals>();
  std::function<drain_options()> drain_defaults = {};  ///< what a request to drain does not say
  std::function<void(drain_options)> drain = {};
  std::function<drain_progress()> drain_state = {};
  std::chrono::milliseconds snapshot_timeout{1'000};  ///< after it an actor is listed as unanswered
  std::chrono::milliseconds outcome_timeout{
      5'000};  ///< after it a send that is still queued is answered with 202
};

/// The internal listener's endpoints: /debug for people, /api for other services. See `GET /` for the list.
class internal_api final : public net::http_service {
 public:
  explicit internal_api(internal_api_options);

  /// The loop's thread only.
  void set_token(std::string token) { options_.token = std::move(token); }

  void handle(const net::http_request&, net::respond) override;
  std::optional<net::http_response> upgrade(std::size_t loop, const upgrade_request&,
                                            net::upgrade_turn&) override;

 private:
  struct route {
    std::string_view method, path, about;
    void (*run)(internal_api&, const net::http_request&, net::respond);
  };
  [[nodiscard]] static std::span<const route> routes() noexcept;
  /// Calls a member of this class or of session_api.
  template <auto Handler>
  static void run(internal_api&, const net::http_request&, net::respond);

  void index(const net::http_request&, net::respond);
  void health(const net::http_request&, net::respond);
  void ready(const net::http_request&, net::respond);
  void metrics(const net::http_request&, net::respond);
  void tree(const net::http_request&, net::respond);
  void connections(const net::http_request&, net::respond);
  void one_connection(const net::http_request&, net::respond);
  void closed(const net::http_request&, net::respond);
  void send(const net::http_request&, net::respond);
  void send_all(const net::http_request&, net::respond);
  void disconnect(const net::http_request&, net::respond);
  void drain_state(const net::http_request&, net::respond);
  void drain(const net::http_request&, net::respond);

  /// Answers with `{"result": ...}`, or with 202 and `pending` if the outcome takes too long.
  [[nodiscard]] std::function<void(boost::json::object)> result_to(net::respond);
  /// For who does not wait: 202, or 503 if it was refused at once.
  static void answer_now(const net::respond&, bool taken);

  internal_api_options options_;
  std::shared_ptr<reply_desk> desk_;
  session_api sessions_;
  std::shared_ptr<metrics_page> metrics_ = std::make_shared<metrics_page>();
};

}  // namespace fairlead::service
