// SPDX-License-Identifier: Apache-2.0
#include "engine/grammar/json_members.h"

#include <algorithm>

#include "support/strings.h"

namespace mlc::engine::grammar {

Expr json_members(Rules& rules, const Expr& blank, const std::vector<Field>& fields,
                  const std::optional<Expr>& extra, const PropertyCounts& counts,
                  const std::string& pointer) {
  const auto add_rule = [&](const char* what, Expr body) {
    const size_t rule = rules.add(cat(pointer, what));
    rules.rules[rule].body = std::move(body);
    return rule_reference(rule);
  };
  const auto after_comma = [&](const Expr& member) {
    return sequence({literal(","), blank, member});
  };
  // Properties are counted up to here; behind it any number is as good, or none may follow.
  const bool has_end = counts.most != Expr::kNoLimit;
  const int64_t last = has_end ? counts.most : counts.least;
  const Expr close = literal("}");
  // What follows where so many were written, none of the fields being left.
  std::vector<Expr> after;
  for (int64_t count = 0; count <= last; ++count) {
    after.push_back(count >= counts.least ? sequence({blank, close}) : nothing());
  }
  Expr before = counts.least == 0 ? close : nothing();
  const auto next_of = [&](int64_t count) { return std::min(count + 1, last); };
  const auto may_write = [&](int64_t count) { return !has_end || count < last; };
  if (extra) {
    const Expr another = add_rule(" (another property)", *extra);
    for (int64_t count = last; count >= 0; --count) {
      Expr& own = after[static_cast<size_t>(count)];
      if (!may_write(count)) continue;
      own = count == last && !has_end
                ? sequence({repeat(after_comma(another), 0, Expr::kNoLimit), own})
                : choice({own, sequence({after_comma(another),
                                         after[static_cast<size_t>(next_of(count))]})});
      own = add_rule(" (more properties)", std::move(own));
    }
    if (may_write(0)) {
      before = choice({before, sequence({another, after[static_cast<size_t>(next_of(0))]})});
    }
  }
  for (size_t i = fields.size(); i-- > 0;) {
    const Field& field = fields[i];
    const Expr reference = add_rule(" (a property)", field.member);
    Expr begins =
        may_write(0) ? sequence({reference, after[static_cast<size_t>(next_of(0))]}) : nothing();
    if (!field.required) begins = choice({std::move(begins), before});
    before = add_rule(" (a property)", std::move(begins));
    std::vector<Expr> goes_on;
    for (int64_t count = 0; count <= last; ++count) {
      Expr e = may_write(count)
                   ? sequence({after_comma(reference), after[static_cast<size_t>(next_of(count))]})
                   : nothing();
      if (!field.required) e = choice({std::move(e), after[static_cast<size_t>(count)]});
      goes_on.push_back(add_rule(" (a property)", std::move(e)));
    }
    after = std::move(goes_on);
  }
  return before;
}

std::optional<std::string> contradiction_of(const PropertyCounts& counts,
                                            const std::vector<Field>& fields, bool open) {
  const auto required = static_cast<int64_t>(
      std::count_if(fields.begin(), fields.end(), [](const Field& f) { return f.required; }));
  if (!open && counts.least > std::ssize(fields)) {
    return cat("minProperties ", counts.least, " is more than it may have, ", fields.size());
  }
  if (counts.most == Expr::kNoLimit) return {};
  if (counts.least > counts.most) {
    return cat("minProperties ", counts.least, " is above maxProperties ", counts.most);
  }
  if (required > counts.most) {
    return cat("maxProperties ", counts.most, " is less than it requires, ", required);
  }
  return {};
}

}  // namespace mlc::engine::grammar
