#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <fairlead/session.hpp>

#include "tests/simulation/oracle.hpp"

/// Sessions as their backends and clients see them: the oracle for streams.
namespace fairlead::simulation {

/// A session and what was emitted into it.
struct emitted {
  session handle;
  std::string type;
  std::map<std::uint64_t, std::uint64_t> at = {};  // offset -> the number that its data is
  std::uint64_t last_number = 0;
  std::uint64_t highest_ack = 0;  // that any client of its has sent
  struct answer {
    std::uint64_t number;
    std::optional<emit_report> report = {};
  };
  std::vector<answer> answers = {};
  std::vector<std::size_t> readers = {};

  void answered(std::size_t which, const emit_report&);
  void close_books() const;
};

/// Somebody who follows one session through one socket after the other.
class reader {
 public:
  reader(std::size_t session, std::string token) : session_(session), token_(std::move(token)) {}

  [[nodiscard]] std::size_t session() const noexcept { return session_; }
  [[nodiscard]] const std::string& token() const noexcept { return token_; }
  [[nodiscard]] std::uint64_t last() const noexcept { return last_; }
  [[nodiscard]] const std::string& epoch() const noexcept { return epoch_; }
  [[nodiscard]] std::optional<std::size_t> link() const noexcept { return link_; }
  [[nodiscard]] bool greeted() const noexcept { return greeted_; }
  [[nodiscard]] bool stays_away() const noexcept { return stays_away_; }
  [[nodiscard]] std::size_t attaches() const noexcept { return attaches_; }

  void attaches_by(std::size_t link) {
    link_ = link;
    greeted_ = false;
    ++attaches_;
  }
  /// A frame of its session's came. Throws if it leaves a gap, or is one that it has.
  void got(const std::string& text, const std::map<std::uint64_t, std::uint64_t>& emitted_at);
  /// Its socket is gone. Throws if it was turned away with a token that is good.
  void lost(std::optional<close_code> why);

 private:
  std::size_t session_;
  std::string token_, epoch_;
  std::uint64_t last_ = 0;
  std::uint64_t numbered_ = 0;  // the number in its last event
  std::optional<std::size_t> link_;
  std::size_t attaches_ = 0;
  bool greeted_ = false;
  bool stays_away_ = false;
};

}  // namespace fairlead::simulation
