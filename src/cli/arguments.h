// SPDX-License-Identifier: Apache-2.0
// The options of one command, with argparse's manners: unambiguous prefixes of long options,
// --flag=value, errors that end the program with status 2. The only file that knows the parsing
// library is arguments.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace mlc::cli {

class ArgumentParser {
 public:
  // `examples` is printed at the end of --help, a command line each.
  ArgumentParser(std::string command, std::string summary, std::vector<std::string> examples);
  ~ArgumentParser();

  // `names` as "--output,-o". The values must outlive parse(). Defaults are what the values hold.
  void positional(std::string name, std::string* value, std::string help);
  void option(std::string names, std::string* value, std::string help);
  void required_option(std::string names, std::string* value, std::string help);
  void option(std::string names, std::optional<std::string>* value, std::string help);
  void option(std::string names, std::optional<int64_t>* value, std::string help);
  void option(std::string names, int64_t* value, std::string help);
  void option(std::string names, std::optional<double>* value, std::string help);
  void flag(std::string names, bool* value, std::string help);

  // False when help was asked for and printed: the command has nothing to do. Throws UserError of
  // kind kUsage.
  [[nodiscard]] bool parse(std::span<const std::string> arguments);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mlc::cli
