// SPDX-License-Identifier: Apache-2.0
#include "formats/jinja/template.h"

#include <cstdio>
#include <ctime>

#include "formats/jinja/interpreter.h"
#include "formats/jinja/parser.h"
#include "support/strings.h"

namespace mlc::jinja {
namespace {

constexpr int64_t kTemplateBytes = int64_t{16} << 20;

Value to_value(Machine& machine, const Json& json, int depth) {
  if (depth > machine.limits().value_depth) {
    return machine.fail("RecursionError",
                        cat("the input is nested deeper than ", machine.limits().value_depth));
  }
  if (json.is_null()) return Value::none();
  if (json.is_bool()) return Value::boolean(json.as_bool());
  if (json.is_int()) return Value::integer(json.as_int());
  if (json.is_float()) return Value::floating(json.as_double());
  if (json.is_string()) return machine.text(json.as_string());
  if (json.is_array()) {
    std::vector<Value> items;
    items.reserve(json.as_array().size());
    for (const Json& item : json.as_array()) {
      items.push_back(to_value(machine, item, depth + 1));
      if (items.back().failed()) return Value::failure();
    }
    return machine.list(std::move(items));
  }
  const Value dict = machine.new_dict();
  for (const auto& [key, member] : json.as_object()) {
    const Value value = to_value(machine, member, depth + 1);
    if (value.failed() || !machine.set_item(dict.dict(), key, value)) return Value::failure();
  }
  return dict;
}

Error to_error(const std::string& where, const Problem& problem) {
  return user_error(problem.line > 0 ? cat(where, ": line ", problem.line) : where,
                    cat(problem.error, ": ", problem.message));
}

bool is_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

// "2025-03-09", with "T12:00" or " 12:00:30" behind; what follows the seconds does not matter.
std::optional<std::tm> parse_time(const std::string& text) {
  std::tm time = {};
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  char separator = 'T';
  const int read = std::sscanf(text.c_str(), "%4d-%2d-%2d%c%2d:%2d:%2d", &year, &month, &day,
                               &separator, &hour, &minute, &second);
  static constexpr int kDaysBefore[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
  const bool valid = (read == 3 || read >= 6) && (separator == 'T' || separator == ' ') &&
                     year >= 1 && month >= 1 && month <= 12 && day >= 1 && hour >= 0 && hour < 24 &&
                     minute >= 0 && minute < 60 && second >= 0 && second < 60;
  if (!valid) return std::nullopt;
  const int leap_day = is_leap(year) && month > 2 ? 1 : 0;
  const int length =
      kDaysBefore[month] - kDaysBefore[month - 1] + (is_leap(year) && month == 2 ? 1 : 0);
  if (day > length) return std::nullopt;
  time.tm_year = year - 1900;
  time.tm_mon = month - 1;
  time.tm_mday = day;
  time.tm_hour = hour;
  time.tm_min = minute;
  time.tm_sec = second;
  time.tm_yday = kDaysBefore[month - 1] + leap_day + day - 1;
  const int before = year - 1;  // whole years since the Monday that began year 1
  time.tm_wday = (1 + before * 365 + before / 4 - before / 100 + before / 400 + time.tm_yday) % 7;
  return time;
}

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm time = {};
  localtime_r(&now, &time);
  return time;
}

}  // namespace

struct Template::Parsed {
  Heap constants{kTemplateBytes};
  Body body;
};

Template::Template(std::string where, std::unique_ptr<Parsed> parsed)
    : where_(std::move(where)), parsed_(std::move(parsed)) {}
Template::~Template() = default;
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;

Result<Template> Template::parse(std::string_view text, std::string where) {
  if (static_cast<int64_t>(text.size()) > kTemplateBytes) {
    return user_error(std::move(where), cat("has ", bytes_text(text.size())),
                      cat("a template of at most ", bytes_text(kTemplateBytes)));
  }
  auto parsed = std::make_unique<Parsed>();
  Problem problem;
  std::optional<Body> body = parse_template(text, parsed->constants, problem);
  if (!body) return to_error(where, problem);
  parsed->body = std::move(*body);
  return Template(std::move(where), std::move(parsed));
}

Result<std::string> Template::render(const Json& arguments, const RenderOptions& options) const {
  std::optional<std::tm> now = options.now ? parse_time(*options.now) : local_time();
  if (!now) {
    return user_error("now", cat("is ", *options.now), "an ISO time such as 2025-03-09T12:00:00");
  }
  if (!arguments.is_object()) {
    return user_error(where_, cat("gets ", arguments.kind_name()), "an object of arguments");
  }
  Interpreter interpreter(options.limits, *now);
  for (const auto& [name, argument] : arguments.as_object()) {
    interpreter.set_argument(name, to_value(interpreter, argument, 0));
    if (interpreter.failed()) return to_error(where_, *interpreter.problem());
  }
  std::optional<std::string> prompt = interpreter.run(parsed_->body);
  if (!prompt) return to_error(where_, *interpreter.problem());
  return std::move(*prompt);
}

}  // namespace mlc::jinja
