#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "net/asio.hpp"
#include "net/collecting_stream.hpp"
#include "net/deflate_socket.hpp"
#include "net/inbound_message.hpp"
#include "net/link.hpp"
#include "net/socket_group.hpp"
#include "protocol/frame_meter.hpp"
#include "protocol/peer_watch.hpp"
#include "protocol/ports.hpp"
#include "protocol/wire.hpp"

namespace fairlead::net {

/// A WebSocket over `Socket`. Beast reads: frames, masks, UTF-8, control frames and their answers. What is written goes
/// through the wire, Beast's frames and ours alike, and past Beast's own write path.
///
/// Ends once: by `end`, after which nothing is left but an empty shell for whoever still holds the link.
template <class Socket>
class basic_link final : public protocol::link,
                         public std::enable_shared_from_this<basic_link<Socket>>,
                         private socket_owner,
                         private raw_sink,
                         private protocol::timer_base {
 public:
  basic_link(Socket, const std::shared_ptr<socket_group>&, client_network, opening,
             std::string_view already_read);
  ~basic_link() override;

  void open(std::unique_ptr<protocol::link_observer>) override;
  void resume_reading() override;
  void pause_reading() override;
  [[nodiscard]] std::size_t write(protocol::chunk&&) override;
  [[nodiscard]] bool sealed() const noexcept override { return wire_.sealed(); }
  [[nodiscard]] bool broken() const noexcept override { return broken_; }
  void send_close(close_code, std::string_view reason) override;
  protocol::progress drop_oldest(const protocol::progress& least) override {
    return wire_.drop_oldest(least, begun());
  }
  protocol::progress drop_key(const protocol::send_terms& terms) override {
    return wire_.drop_key(terms, begun());
  }
  protocol::progress drop_expired(protocol::time_point now, protocol::time_point& next) override {
    return wire_.drop_expired(now, next, begun());
  }
  protocol::progress flush() override;
  void abort() override;
  [[nodiscard]] std::size_t queued_bytes() const noexcept override { return wire_.queued_bytes(); }
  [[nodiscard]] std::size_t undelivered_bytes() const noexcept override;
  [[nodiscard]] protocol::peer_view peer() const noexcept override;
  [[nodiscard]] std::string_view tls() const noexcept override;
  [[nodiscard]] bool compresses() const noexcept override { return compressing; }

 private:
  enum class phase : std::uint8_t { fresh, upgrading, open, broken, ended };
  using stream = boost::beast::websocket::stream<collecting_stream<Socket>, false>;

  static constexpr bool compressing = std::is_same_v<Socket, deflate_socket>;
  // So many bytes of pongs may wait for a peer that reads nothing; then it is not read either.
  static constexpr std::size_t most_raw_bytes = 4096;

  [[nodiscard]] bool alive() const noexcept {
    return phase_ == phase::upgrading || phase_ == phase::open;
  }
  /// Bytes of the wire that the socket has made a record of, and the kernel has not taken.
  [[nodiscard]] std::size_t begun() const noexcept;
  [[nodiscard]] Socket& socket() noexcept { return stream_->next_layer().socket(); }
  /// Runs `body` as one turn of the loop, unless the link has ended. What it throws ends this link alone.
  template <class Body>
  void turn(Body&& body);

  void on_accepted(const error_code&);
  void complete(boost::beast::websocket::response_type&) const;
  [[nodiscard]] boost::beast::http::request<boost::beast::http::empty_body>
  handshake_request() const;
  void read();
  void on_read(const error_code&, std::size_t);
  void on_read_error(const error_code&);
  void deliver();
  [[nodiscard]] bool inflate(message_kind&, std::string_view& payload);

  [[nodiscard]] error_code heard(std::string_view bytes) override;
  void charge(std::size_t bytes, std::uint32_t frames);
  void take_raw(std::string_view bytes) override;
  [[nodiscard]] error_code flush_raw() override;
  boost::beast::saved_handler* hold() noexcept override;
  void go_on();
  void go_on_later();

  void limits_changed() noexcept override;
  void on_due() override;
  void look_after();
  [[nodiscard]] bool can_ask() noexcept;
  void send_ping();
  void stop_flood();

  [[nodiscard]] protocol::progress write_out();
  std::size_t write_some(std::size_t& offered, error_code&);
  void wait_for_room();
  void on_drained();
  void break_off(const error_code&);
  void report(const protocol::progress&);

  void violate(close_code, std::string what);
  void finish();
  void fail(const error_code&, std::string what);
  void refuse();
  void drop() noexcept override;
  void end() noexcept;

  std::optional<stream> stream_;
  std::unique_ptr<protocol::link_observer> observer_;
  protocol::wire wire_;
  boost::beast::saved_handler held_;  // Beast's, waiting to go on
  inbound_message inbound_;
  protocol::peer_watch watch_;
  protocol::frame_meter meter_;
  std::unique_ptr<const opening> opening_;  // until it is opened
  std::uint32_t raw_bytes_ = 0;             // queued since the wire was last empty
  phase phase_ = phase::fresh;
  bool paused_ = true;
  bool reading_ = false;    // a read is under way
  bool waiting_ = false;    // for the kernel to take more
  bool finishing_ = false;  // nothing more will be read; when all is written, that is the end
  bool broken_ = false;     // ended, or about to, by a failure
};

}  // namespace fairlead::net
