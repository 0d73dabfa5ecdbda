#include <exception>
#include <iostream>
#include <variant>

#include "service/command_line.hpp"
#include "service/serve.hpp"

int main(int argc, char** argv) {
  using namespace fairlead::service;
  try {
    auto command = parse_command_line(argc, argv, std::cout, std::cerr);
    if (const auto* done = std::get_if<finished>(&command)) return done->exit_code;
    auto& values = std::get<serve_command>(command).values;
    const auto again = [argc, argv, plain = values.plain] {
      return parse_again(argc, argv, plain);
    };
    return serve(std::move(values), again, std::cout);
  } catch (const std::exception& error) {
    std::cerr << "fairlead: " << error.what() << '\n';
    return exit_failure;
  }
}
