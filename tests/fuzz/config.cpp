// The configuration file and the command line: whatever they hold, settings come of it that the server would take, or
// problems that say where and what, each on one line.
#include "service/config.hpp"

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/utf8.hpp"
#include "service/command_line.hpp"
#include "service/config_keys.hpp"
#include "service/options.hpp"
#include "tests/fuzz/input.hpp"

namespace fairlead::fuzz {
namespace {

/// Options that name a file, or may: what is in the files of the machine that this runs on is not the input's.
bool names_a_file(std::string_view text) {
  return text.find("token_file") != std::string_view::npos ||
         text.find("token-file") != std::string_view::npos ||
         text.find("config") != std::string_view::npos;
}

bool one_line(std::string_view text) {
  return text.find_first_of("\n\r") == std::string_view::npos && protocol::valid_utf8(text);
}

/// What the settings say, as a file of all keys that are written as they are read.
std::string as_file(const service::settings& values) {
  std::string text, section;
  for (const auto& key : service::config_keys()) {
    if (section != key.section) text += "[" + key.section + "]\n";
    section = key.section;
    text += key.name + " = " + key.show(values) + "\n";
  }
  return text;
}

void file(std::string_view text) {
  if (names_a_file(text)) return;
  const auto loaded = service::parse_config(text, "f.toml");
  const auto lines = 1 + static_cast<unsigned>(std::ranges::count(text, '\n'));
  for (const auto& p : loaded.problems) {
    promise(p.file == "f.toml" && p.line >= 1 && p.line <= lines, "a problem says where");
    promise(!p.what.empty(), "a problem says what");
    promise(one_line(to_string(p)), "a problem is one line of text");
  }
  for (const auto& [key, line] : loaded.lines)
    promise(line >= 1 && line <= lines, "each key was set somewhere");
  if (!loaded.problems.empty()) return;
  for (const auto& p : service::check(loaded.values.server))
    promise(!p.where.empty() && !p.what.empty() && one_line(p.what), "a problem of all together");
  const auto written = as_file(loaded.values);
  const auto again = service::parse_config(written, "written.toml");
  promise(again.problems.empty(), "what is shown of the settings is a file");
  promise(as_file(again.values) == written, "that says the same");
}

void command_line(std::string_view text) {
  if (names_a_file(text)) return;
  std::vector<std::string> words{"fairlead"};
  for (std::size_t end = 0; !text.empty() && words.size() < 100;
       text.remove_prefix(std::min(end + 1, text.size()))) {
    end = std::min(text.find_first_of(std::string_view("\n\0", 2)), text.size());
    words.emplace_back(text.substr(0, end));
  }
  std::vector<const char*> arguments;
  for (const auto& word : words) arguments.push_back(word.c_str());
  std::ostringstream out, err;
  const auto command =
      service::parse_command_line(static_cast<int>(arguments.size()), arguments.data(), out, err);
  if (const auto* serve = std::get_if<service::serve_command>(&command)) {
    promise(service::check(serve->values.server).empty(), "what is to be served can be");
    return promise(err.view().empty(), "and nothing is wrong with it");
  }
  const int code = std::get<service::finished>(command).exit_code;
  promise(code == service::exit_clean || code == service::exit_usage, "the exit codes");
  promise(code == service::exit_clean ? !out.view().empty() : !err.view().empty(),
          "an answer, or what is wrong");
}

}  // namespace
}  // namespace fairlead::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fairlead::fuzz::input in(data, size);
  if (in.flag())
    fairlead::fuzz::command_line(in.rest());
  else
    fairlead::fuzz::file(in.rest());
  return 0;
}
