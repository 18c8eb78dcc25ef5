// SPDX-License-Identifier: Apache-2.0
#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "support/strings.h"
#include "support/throw.h"

namespace mlc::cli {

struct ArgumentParser::State {
  CLI::App app;
  std::string command;
  std::string summary;
  std::vector<std::string> examples;
  std::vector<std::string> long_names;                    // "--output"
  std::vector<std::string> required_names;                // "--output"
  std::vector<std::string> usage;                         // "[--device DEVICE]"
  std::vector<std::pair<std::string, std::string>> rows;  // the option and its help
  std::vector<std::pair<std::string, std::string*>> positionals;

  std::string help() const;
  std::vector<std::string> complete_prefixes(std::span<const std::string> arguments) const;
};

namespace {

std::string wrapped(std::string_view text, size_t indent, size_t width) {
  std::string result;
  size_t column = indent;
  for (const std::string& word : split(text, ' ')) {
    if (column > indent && column + word.size() + 1 > width) {
      result += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      result += ' ';
      ++column;
    }
    result += word;
    column += word.size();
  }
  return result;
}

std::string first_long_name(const std::string& names) {
  for (const std::string& name : split(names, ',')) {
    if (name.starts_with("--")) return name;
  }
  return names;
}

// The word that stands for the value in help: "--source-format" gives SOURCE_FORMAT.
std::string placeholder(const std::string& names) {
  std::string word;
  for (const char c : first_long_name(names).substr(2)) {
    word += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  }
  return word;
}

}  // namespace

ArgumentParser::ArgumentParser(std::string command, std::string summary,
                               std::vector<std::string> examples)
    : state_(std::make_unique<State>()) {
  state_->command = std::move(command);
  state_->summary = std::move(summary);
  state_->examples = std::move(examples);
  state_->app.set_help_flag();
  state_->app.add_flag("-h,--help");
  state_->long_names.push_back("--help");
  state_->rows.emplace_back("-h, --help", "show this help and leave");
}

ArgumentParser::~ArgumentParser() = default;

namespace {

void describe(std::vector<std::string>& long_names, std::vector<std::string>& usage,
              std::vector<std::pair<std::string, std::string>>& rows, const std::string& names,
              const std::string& value, std::string help, bool required) {
  std::vector<std::string> spelled;
  for (const std::string& name : split(names, ',')) {
    if (name.starts_with("--")) long_names.push_back(name);
    spelled.push_back(value.empty() ? name : name + " " + value);
  }
  const std::string text =
      value.empty() ? first_long_name(names) : first_long_name(names) + " " + value;
  usage.push_back(required ? text : "[" + text + "]");
  rows.emplace_back(join(spelled, ", "), std::move(help));
}

}  // namespace

void ArgumentParser::positional(std::string name, std::string* value, std::string help) {
  state_->usage.push_back(name);
  state_->rows.emplace_back(name, std::move(help));
  state_->positionals.emplace_back(std::move(name), value);
}

void ArgumentParser::option(std::string names, std::string* value, std::string help) {
  State& s = *state_;
  if (!value->empty()) help += cat(" (default: ", *value, ")");
  describe(s.long_names, s.usage, s.rows, names, placeholder(names), std::move(help), false);
  s.app.add_option(names, *value);
}

void ArgumentParser::required_option(std::string names, std::string* value, std::string help) {
  State& s = *state_;
  describe(s.long_names, s.usage, s.rows, names, placeholder(names), std::move(help), true);
  s.app.add_option(names, *value);
  s.required_names.push_back(first_long_name(names));
}

void ArgumentParser::option(std::string names, std::optional<std::string>* value,
                            std::string help) {
  State& s = *state_;
  describe(s.long_names, s.usage, s.rows, names, placeholder(names), std::move(help), false);
  s.app.add_option_function<std::string>(names, [value](const std::string& v) { *value = v; });
}

void ArgumentParser::option(std::string names, std::optional<int64_t>* value, std::string help) {
  State& s = *state_;
  describe(s.long_names, s.usage, s.rows, names, placeholder(names), std::move(help), false);
  s.app.add_option_function<std::string>(names, [value, names](const std::string& v) {
    *value = parse_int64(v);
    if (!value->has_value()) {
      throw UserError(usage_error(first_long_name(names), cat("is ", v), "an integer"));
    }
  });
}

void ArgumentParser::option(std::string names, int64_t* value, std::string help) {
  State& s = *state_;
  help += cat(" (default: ", *value, ")");
  describe(s.long_names, s.usage, s.rows, names, placeholder(names), std::move(help), false);
  s.app.add_option_function<std::string>(names, [value, names](const std::string& v) {
    const std::optional<int64_t> number = parse_int64(v);
    if (!number) throw UserError(usage_error(first_long_name(names), cat("is ", v), "an integer"));
    *value = *number;
  });
}

void ArgumentParser::option(std::string names, std::optional<double>* value, std::string help) {
  State& s = *state_;
  describe(s.long_names, s.usage, s.rows, names, placeholder(names), std::move(help), false);
  s.app.add_option_function<std::string>(names, [value, names](const std::string& v) {
    *value = parse_double(v);
    if (!value->has_value()) {
      throw UserError(usage_error(first_long_name(names), cat("is ", v), "a number"));
    }
  });
}

void ArgumentParser::flag(std::string names, bool* value, std::string help) {
  State& s = *state_;
  describe(s.long_names, s.usage, s.rows, names, "", std::move(help), false);
  s.app.add_flag(names, *value);
}

std::string ArgumentParser::State::help() const {
  const std::string head = cat("usage: mlc_llm ", command, " ");
  // Usage parts may hold blanks, so they are wrapped as units.
  std::string line = head;
  std::string text;
  for (const std::string& part : usage) {
    if (line.size() + part.size() + 1 > 100 && line != head) {
      text += line.substr(0, line.size() - 1) + "\n";
      line = std::string(head.size(), ' ');
    }
    line += part + " ";
  }
  text += line.substr(0, line.size() - 1) + "\n\n" + wrapped(summary, 0, 100) + "\n\n";
  for (const auto& [name, explanation] : rows) {
    text += "  " + name;
    const size_t column = 28;
    text += name.size() + 3 > column ? "\n" + std::string(column, ' ')
                                     : std::string(column - name.size() - 2, ' ');
    text += wrapped(explanation, column, 100) + "\n";
  }
  if (!examples.empty()) {
    text += "\nexamples:\n";
    for (const std::string& example : examples) text += "  " + example + "\n";
  }
  return text;
}

// Replaces "--quant" and "--quant=x" by the one long option that begins so.
std::vector<std::string> ArgumentParser::State::complete_prefixes(
    std::span<const std::string> arguments) const {
  std::vector<std::string> completed;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") {
      completed.insert(completed.end(), arguments.begin() + static_cast<int64_t>(i),
                       arguments.end());
      break;
    }
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    if (!name.starts_with("--")) {
      completed.push_back(argument);
      continue;
    }
    std::vector<std::string> matches;
    for (const std::string& known : long_names) {
      if (known == name) {
        matches = {known};
        break;
      }
      if (known.starts_with(name)) matches.push_back(known);
    }
    if (matches.size() > 1) {
      throw UserError(usage_error(name, "is ambiguous", "one of " + join(matches, ", ")));
    }
    if (matches.empty()) {
      throw UserError(unknown_name_error(ErrorKind::kUsage, command, "option", name, long_names));
    }
    completed.push_back(equals == std::string::npos ? matches[0]
                                                    : matches[0] + argument.substr(equals));
  }
  return completed;
}

bool ArgumentParser::parse(std::span<const std::string> arguments) {
  State& s = *state_;
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    if (argument == "-h" || argument == "--help") {
      const std::string text = s.help();
      std::fwrite(text.data(), 1, text.size(), stdout);
      return false;
    }
  }
  std::vector<std::string> positionals;
  s.app.allow_extras();
  try {
    std::vector<std::string> reversed = s.complete_prefixes(arguments);
    std::reverse(reversed.begin(), reversed.end());
    s.app.parse(reversed);
    positionals = s.app.remaining();
  } catch (const CLI::ParseError& error) {
    throw UserError(usage_error(s.command, error.what(), "",
                                cat("mlc_llm ", s.command, " --help lists the options")));
  }
  std::erase(positionals, "--");
  for (size_t i = 0; i < positionals.size(); ++i) {
    if (i < s.positionals.size()) {
      *s.positionals[i].second = positionals[i];
    } else {
      throw UserError(usage_error(s.command, cat("unexpected argument ", positionals[i]), "",
                                  cat("mlc_llm ", s.command, " --help lists the options")));
    }
  }
  std::vector<std::string> missing;
  for (size_t i = positionals.size(); i < s.positionals.size(); ++i) {
    missing.push_back(s.positionals[i].first);
  }
  for (const std::string& name : s.required_names) {
    if (s.app.get_option(name)->count() == 0) missing.push_back(name);
  }
  if (!missing.empty()) {
    throw UserError(usage_error(s.command, "missing " + join(missing, ", "), "",
                                cat("mlc_llm ", s.command, " --help shows examples")));
  }
  return true;
}

}  // namespace mlc::cli
