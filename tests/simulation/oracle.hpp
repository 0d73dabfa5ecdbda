#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fairlead/result.hpp>

#include "tests/support/fake_link.hpp"

/// What must be true of everything a server was asked and of every byte that it sent. Knows nothing of how it is built.
namespace fairlead::simulation {

/// A promise was broken.
struct violation : std::runtime_error {
  using runtime_error::runtime_error;
};
inline void require(bool good, const std::string& what) {
  if (!good) throw violation{what};
}

/// By which a message goes: those of one way are in order, and between two ways there is none.
enum class way : std::uint8_t { handle, id, broadcast, user };

/// One message that was sent to one connection, to those of a user, or to all.
struct sent {
  way by = way::handle;
  std::size_t link = SIZE_MAX;         // SIZE_MAX: to several
  std::string user = {};               // whose they must be; empty: anybody's, if it is a broadcast
  bool others_make_way = false;        // for it, in a full queue
  bool reports = true;                 // somebody asked what becomes of it
  std::set<std::size_t> except = {};   // links that a broadcast is not for
  std::size_t most_named = 0;          // of those that refuse it
  bool let_in = true;                  // to several: there was room for it
  std::set<std::size_t> seen_on = {};  // links whose kernel has all of it
  std::optional<send_result> outcome = {};
  std::optional<broadcast_summary> summary = {};
  std::vector<std::size_t> named = {};  // links
};

/// Reads what a link's kernel has been given, frame by frame, as it comes.
class observed_link {
 public:
  observed_link(std::size_t number, std::shared_ptr<test::fake_link> link)
      : number_(number), link_(std::move(link)) {}

  /// The frames that are new. Throws if one is behind a Close.
  std::vector<test::sent_frame> read();
  [[nodiscard]] test::fake_link& link() noexcept { return *link_; }
  [[nodiscard]] const test::fake_link& link() const noexcept { return *link_; }
  [[nodiscard]] std::optional<close_code> closed_with() const noexcept { return closed_with_; }
  /// What its Close frame says.
  [[nodiscard]] const std::optional<std::string>& closed_because() const noexcept {
    return closed_because_;
  }
  [[nodiscard]] std::size_t number() const noexcept { return number_; }
  [[nodiscard]] std::size_t messages() const noexcept { return messages_; }
  [[nodiscard]] long holders() const noexcept { return link_.use_count(); }

 private:
  std::size_t number_;
  std::shared_ptr<test::fake_link> link_;
  std::size_t read_ = 0;      // of link_->sent
  std::size_t messages_ = 0;  // data frames
  std::optional<close_code> closed_with_;
  std::optional<std::string> closed_because_;
};

/// Sends and what became of them.
class ledger {
 public:
  /// The text of a new message: it names itself.
  std::string begin(sent what, std::size_t padding);
  [[nodiscard]] std::size_t last() const noexcept { return all_.size() - 1; }
  void settled(std::size_t message, send_result);
  /// Of a connection's queue, which holds at most so many messages: what was sent to it by its handle and is not settled.
  void check_unsettled(std::size_t link, std::size_t most) const;
  /// `named` are the links of those in the summary that refused.
  void summed_up(std::size_t message, const broadcast_summary&, std::vector<std::size_t> named);
  /// There was no room for this one, which is to several: nobody is to get it.
  void turned_away(std::size_t message) { all_.at(message).let_in = false; }
  [[nodiscard]] bool was_let_in(std::size_t message) const { return all_.at(message).let_in; }
  /// A data frame that is no session's came to this link's peer.
  void arrived(std::size_t link, std::string_view user, std::string_view text);
  /// What went to several and this user's link did not get, although it got some that went that way before, and some after;
  /// or some before, if it is `to_the_end`.
  [[nodiscard]] std::size_t missed_by(std::size_t link, std::string_view user,
                                      bool to_the_end) const;
  /// All is over: each has one outcome, and it is true.
  void close_books() const;
  [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }
  [[nodiscard]] std::size_t written() const noexcept { return written_; }
  /// Sends by handle that their connection refused while it lived.
  [[nodiscard]] std::size_t refused() const noexcept { return refused_; }

 private:
  static void check_summary(std::size_t message, const sent&);
  void count_unsettled(const sent&, int);
  [[nodiscard]] std::size_t missed_by(std::size_t link, std::string_view user, way,
                                      bool to_the_end) const;

  std::vector<sent> all_;
  struct unsettled {
    std::size_t all = 0, others_make_way = 0;
  };
  std::map<std::size_t, unsettled> unsettled_;                 // by link
  std::map<std::pair<std::size_t, way>, std::size_t> newest_;  // by link and way
  std::size_t written_ = 0, refused_ = 0;
};

}  // namespace fairlead::simulation
