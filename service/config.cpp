#include "service/config.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "service/config_keys.hpp"
#include "service/options.hpp"
#include "service/text.hpp"

namespace fairlead::service {
namespace {

/// A walk through one file's table.
class reader {
 public:
  reader(std::string_view file, loaded_config& out) : file_(file), out_(out) {}

  void read(const toml::table& file) {
    for (const auto& [name, node] : file) {
      const auto* section = node.as_table();
      if (!known_section(name.str())) {
        add(name.source().begin.line, std::string{name.str()},
            unknown(name.str(), section != nullptr));
      } else if (!section) {
        add(name.source().begin.line, std::string{name.str()},
            fmt::format("a section, not a value; write [{}] and its keys below it", name.str()));
      } else {
        read_section(name.str(), *section);
      }
    }
    const auto earlier = [](const config_problem& a, const config_problem& b) {
      return a.line < b.line;
    };
    std::stable_sort(out_.problems.begin(), out_.problems.end(), earlier);
  }

 private:
  static bool known_section(std::string_view name) {
    const auto& keys = config_keys();
    return std::any_of(keys.begin(), keys.end(),
                       [&](const config_key& k) { return k.section == name; });
  }

  void read_section(std::string_view section, const toml::table& table) {
    for (const auto& [name, node] : table) {
      const auto line = name.source().begin.line;
      const auto full = fmt::format("{}.{}", section, name.str());
      const auto& keys = config_keys();
      const auto key = std::find_if(keys.begin(), keys.end(),
                                    [&](const config_key& k) { return k.full_name() == full; });
      if (key == keys.end()) {
        add(line, full, unknown(full, false));
        continue;
      }
      out_.lines[full] = line;
      if (auto wrong = key->read(out_.values, node); !wrong.empty())
        add(line, full, std::move(wrong));
    }
  }

  /// What to say of a name that is not known: the key of that name in another section, or the most similar one.
  static std::string unknown(std::string_view name, bool is_section) {
    std::vector<std::string> full;
    for (const auto& key : config_keys()) {
      const auto last = name.substr(name.rfind('.') + 1);
      if (!is_section && key.name == last) {
        return fmt::format("there is no such key; did you mean \"{}\", in section [{}]?",
                           key.full_name(), key.section);
      }
      const auto& candidate = is_section ? key.section : key.full_name();
      if (full.empty() || full.back() != candidate) full.push_back(candidate);
    }
    const std::vector<std::string_view> known{full.begin(), full.end()};
    return fmt::format("there is no such {}{}", is_section ? "section" : "key",
                       did_you_mean(name, known));
  }

  void add(unsigned line, std::string key, std::string what) {
    out_.problems.push_back({file_, line, std::move(key), std::move(what)});
  }

  std::string file_;
  loaded_config& out_;
};

/// Text about a system call that failed.
config_problem unreadable(const std::string& path, int error) {
  return {path, 0, "", fmt::format("cannot be read: {}", std::strerror(error))};
}

}  // namespace

std::string to_string(const config_problem& p) {
  auto text = p.file;
  if (p.line > 0) text += fmt::format(":{}", p.line);
  if (!p.key.empty()) text += ": " + on_one_line(p.key);
  return text + ": " + p.what;
}

loaded_config parse_config(std::string_view text, std::string_view name, settings defaults) {
  loaded_config out{.values = std::move(defaults), .problems = {}, .lines = {}};
  try {
    reader{name, out}.read(toml::parse(text, name));
  } catch (const toml::parse_error& error) {
    const auto at = error.source().begin;
    out.problems.push_back(
        {std::string{name}, at.line, "",
         fmt::format("no TOML at column {}: {}", at.column, on_one_line(error.description()))});
  }
  return out;
}

loaded_config load_config(const std::string& path, settings defaults) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return {.values = std::move(defaults), .problems = {unreadable(path, EISDIR)}, .lines = {}};
  }
  errno = 0;
  std::ifstream file{path, std::ios::binary};
  if (!file) {
    const int why = errno != 0 ? errno : EIO;
    return {.values = std::move(defaults), .problems = {unreadable(path, why)}, .lines = {}};
  }
  const std::string text{std::istreambuf_iterator<char>{file}, {}};
  return parse_config(text, path, std::move(defaults));
}

loaded_config check_config(const std::string& path) {
  auto loaded = load_config(path);
  if (!loaded.problems.empty()) return loaded;
  for (const auto& p : check(loaded.values)) {
    // What no single key can tell; everything else was found while reading.
    const auto key = p.where == "internal" ? std::string{"internal.address"} : p.where;
    loaded.problems.push_back({path, loaded.lines[key], key, p.what});
  }
  return loaded;
}

std::string default_config() {
  std::string text, section;
  for (const auto& key : config_keys()) {
    if (section != key.section) {
      section = key.section;
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", section);
    }
    text += fmt::format("# {}\n{} = {}\n", key.about, key.name, key.show(settings{}));
  }
  return text;
}

}  // namespace fairlead::service
