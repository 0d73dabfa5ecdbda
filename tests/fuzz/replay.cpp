// Runs a target once for each file that it is given: what the corpora are for in builds without libFuzzer.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/fuzz/input.hpp"

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    if (!file.is_open() || std::filesystem::is_directory(argv[i])) {
      std::fprintf(stderr, "%s cannot be read\n", argv[i]);
      return 2;
    }
    // Said first: of a run that aborts, this line is what remains.
    std::fprintf(stderr, "%s: %zu bytes\n", argv[i], bytes.size());
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  }
  std::fprintf(stderr, "%d inputs, no promise broken\n", argc - 1);
  return argc > 1 ? 0 : 2;
}
