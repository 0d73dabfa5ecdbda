#pragma once

#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fairlead/behavior.hpp>

namespace fairlead::test {

/// What behaviors of a test saw, by the name of each, and how many there are.
struct scribe_book {
  std::map<std::string, std::vector<std::string>> lines;
  std::vector<std::string> made;
  int alive = 0;
  std::string throw_in;  ///< the function of every behavior that throws

  [[nodiscard]] user_behavior_factory per_user();
  [[nodiscard]] connection_behavior_factory per_connection();
};

/// Writes down what it is told; throws when a message says so.
class scribe final : public behavior {
 public:
  scribe(scribe_book& book, std::string name) : book_(book), name_(std::move(name)) {
    ++book_.alive;
    book_.made.push_back(name_);
  }
  ~scribe() override { --book_.alive; }
  void opened(const connection&) override {
    note("opened");
    if (book_.throw_in == "opened") throw std::runtime_error{"told to"};
  }
  void received(const connection& from, const message& m) override {
    note("received " + std::string{m.view()});
    if (m.view() == "throw") throw std::runtime_error{"told to"};
    if (m.view() == "throw int") throw 42;
    if (m.view() == "reply") from.send(message::text("replied"));
  }
  void closed(const connection&, const close_info& why) override {
    note("closed " + std::to_string(static_cast<unsigned>(why.code)));
    if (book_.throw_in == "closed") throw std::runtime_error{"told to"};
  }

 private:
  void note(std::string what) { book_.lines[name_].push_back(std::move(what)); }

  scribe_book& book_;
  std::string name_;
};

inline user_behavior_factory scribe_book::per_user() {
  return [this](const std::string& user) { return std::make_unique<scribe>(*this, user); };
}
inline connection_behavior_factory scribe_book::per_connection() {
  return [this](const connection& c) { return std::make_unique<scribe>(*this, to_string(c.id())); };
}

}  // namespace fairlead::test
