#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <random>
#include <string_view>
#include <utility>

#include <boost/asio/buffer.hpp>

#include <fairlead/limits.hpp>
#include <fairlead/log.hpp>

#include "net/crowd.hpp"
#include "net/deflate.hpp"
#include "net/loop.hpp"
#include "protocol/limit_hit.hpp"
#include "protocol/live_limits.hpp"

namespace fairlead::net {

class socket_group;

/// Something that owns an open socket, and is counted and can be found for as long as it does. Its own loop's thread only.
class socket_owner {
 public:
  socket_owner() = default;
  socket_owner(const socket_owner&) = delete;
  socket_owner& operator=(const socket_owner&) = delete;

  /// The listener stops accepting: an owner that waits for a first or next request ends.
  virtual void wind_down() noexcept {}
  /// Other limits are in force: what waits by the old ones may be due sooner.
  virtual void limits_changed() noexcept {}
  /// The listener stops: close the socket before returning and let go of everything that belongs to the io_context.
  virtual void drop() noexcept = 0;

 protected:
  ~socket_owner() { leave(); }
  void join(std::shared_ptr<socket_group>, client_network from);
  /// The socket is closed, or belongs to someone else now.
  void leave() noexcept;
  /// Null unless this owns a socket.
  [[nodiscard]] const std::shared_ptr<socket_group>& group() const noexcept { return group_; }
  /// Where the socket's peer is, also when it has been handed on.
  [[nodiscard]] client_network from() const noexcept { return from_; }

 private:
  friend class socket_group;
  std::shared_ptr<socket_group> group_;
  client_network from_ = 0;
  socket_owner* next_ = nullptr;
  socket_owner* previous_ = nullptr;
};

/// The open sockets of one listener on one loop, and what they share.
class socket_group {
 public:
  socket_group(std::shared_ptr<loop> on, std::shared_ptr<const protocol::live_limits> bounds,
               std::shared_ptr<protocol::limit_hits> hits, std::shared_ptr<log> sink,
               std::shared_ptr<net::crowd> all, const compression_options& compression = {},
               std::shared_ptr<deflate_counts> compressed = std::make_shared<deflate_counts>())
      : loop_(std::move(on)),
        limits_(std::move(bounds)),
        hits_(std::move(hits)),
        logger_(std::move(sink)),
        crowd_(std::move(all)),
        compression_(compression),
        workshop_(compression, std::move(compressed)) {}

  [[nodiscard]] net::loop& home() const noexcept { return *loop_; }
  [[nodiscard]] const std::shared_ptr<net::loop>& loop_handle() const noexcept { return loop_; }
  [[nodiscard]] const fairlead::limits& limits() const noexcept { return limits_->get(); }
  /// A limit has acted.
  void count(protocol::limit_hit what) const noexcept { hits_->add(what); }
  /// The whole listener's sockets, all loops together.
  [[nodiscard]] net::crowd& crowd() const noexcept { return *crowd_; }
  void write_log(severity, std::string_view event, std::initializer_list<log_field>) const noexcept;

  [[nodiscard]] const compression_options& compression() const noexcept { return compression_; }
  [[nodiscard]] deflate_workshop& workshop() noexcept { return workshop_; }

  /// No further requests are served.
  [[nodiscard]] bool winding_down() const noexcept { return winding_down_; }
  void wind_down() noexcept;
  void limits_changed() noexcept;
  void drop_all() noexcept;

  /// For what is spread by chance, such as pings.
  [[nodiscard]] std::uint32_t random_number() noexcept {
    return static_cast<std::uint32_t>(random_());
  }

  /// Room for one gathered write: shared by the loop's sockets, for use within one call.
  struct scratch {
    std::array<std::string_view, 64> views;
    std::array<boost::asio::const_buffer, 64> buffers;
  };
  [[nodiscard]] scratch& gather_room() noexcept { return scratch_; }

 private:
  friend class socket_owner;
  const std::shared_ptr<net::loop> loop_;
  const std::shared_ptr<const protocol::live_limits> limits_;
  const std::shared_ptr<protocol::limit_hits> hits_;
  const std::shared_ptr<log> logger_;
  const std::shared_ptr<net::crowd> crowd_;
  const compression_options compression_;
  deflate_workshop workshop_;
  socket_owner* first_ = nullptr;
  bool winding_down_ = false;
  std::minstd_rand random_{std::random_device{}()};
  scratch scratch_;
};

}  // namespace fairlead::net
