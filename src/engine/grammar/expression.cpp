// SPDX-License-Identifier: Apache-2.0
#include "engine/grammar/expression.h"

#include <algorithm>

#include "support/strings.h"

namespace mlc::engine::grammar {
namespace {

constexpr uint32_t kFirstSurrogate = 0xD800;
constexpr uint32_t kLastSurrogate = 0xDFFF;

Expr byte_range(uint32_t first, uint32_t last) {
  Expr e;
  e.kind = Expr::Kind::kBytes;
  for (uint32_t b = first; b <= last; ++b) e.bytes.set(b);
  return e;
}

// UTF-8 of code points that all have as many bytes: if the first bytes agree, they are one prefix;
// else the range is cut where the rest of the bytes runs through all of its values.
void append_utf8_range(uint32_t first, uint32_t last, std::vector<Expr>& alternatives) {
  const std::string low = utf8(first);
  const std::string high = utf8(last);
  const size_t length = low.size();
  for (size_t i = 1; i < length; ++i) {
    // Bytes from i on are six bits each.
    const uint32_t tail = (1u << (6 * (length - i))) - 1;
    if ((first & ~tail) == (last & ~tail)) continue;
    if ((first & tail) != 0) {
      append_utf8_range(first, first | tail, alternatives);
      append_utf8_range((first | tail) + 1, last, alternatives);
      return;
    }
    if ((last & tail) != tail) {
      append_utf8_range(first, (last & ~tail) - 1, alternatives);
      append_utf8_range(last & ~tail, last, alternatives);
      return;
    }
  }
  std::vector<Expr> bytes;
  for (size_t i = 0; i < length; ++i) {
    bytes.push_back(byte_range(static_cast<uint8_t>(low[i]), static_cast<uint8_t>(high[i])));
  }
  alternatives.push_back(sequence(std::move(bytes)));
}

}  // namespace

CodePointSet normalized(CodePointSet set) {
  CodePointSet cut;
  for (const CodePoints& range : set) {
    const uint32_t last = std::min(range.last, kLastCodePoint);
    if (range.first > last) continue;
    if (range.first < kFirstSurrogate) {
      cut.push_back({range.first, std::min(last, kFirstSurrogate - 1)});
    }
    if (last > kLastSurrogate) cut.push_back({std::max(range.first, kLastSurrogate + 1), last});
  }
  std::sort(cut.begin(), cut.end(),
            [](const CodePoints& a, const CodePoints& b) { return a.first < b.first; });
  CodePointSet joined;
  for (const CodePoints& range : cut) {
    if (!joined.empty() && range.first <= joined.back().last + 1) {
      joined.back().last = std::max(joined.back().last, range.last);
    } else {
      joined.push_back(range);
    }
  }
  return joined;
}

CodePointSet complement(CodePointSet set) {
  set = normalized(std::move(set));
  CodePointSet rest;
  uint32_t next = 0;
  for (const CodePoints& range : set) {
    if (range.first > next) rest.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLastCodePoint) rest.push_back({next, kLastCodePoint});
  return normalized(std::move(rest));
}

CodePointSet intersection(const CodePointSet& a, const CodePointSet& b) {
  CodePointSet both;
  for (const CodePoints& x : a) {
    for (const CodePoints& y : b) {
      const uint32_t first = std::max(x.first, y.first);
      const uint32_t last = std::min(x.last, y.last);
      if (first <= last) both.push_back({first, last});
    }
  }
  return normalized(std::move(both));
}

bool contains(const CodePointSet& set, uint32_t code_point) {
  return std::any_of(set.begin(), set.end(), [&](const CodePoints& range) {
    return range.first <= code_point && code_point <= range.last;
  });
}

std::string utf8(uint32_t c) {
  const auto byte = [](uint32_t value) { return static_cast<char>(value); };
  if (c < 0x80) return {byte(c)};
  if (c < 0x800) return {byte(0xC0 | c >> 6), byte(0x80 | (c & 0x3F))};
  if (c < 0x10000) {
    return {byte(0xE0 | c >> 12), byte(0x80 | (c >> 6 & 0x3F)), byte(0x80 | (c & 0x3F))};
  }
  return {byte(0xF0 | c >> 18), byte(0x80 | (c >> 12 & 0x3F)), byte(0x80 | (c >> 6 & 0x3F)),
          byte(0x80 | (c & 0x3F))};
}

std::vector<uint32_t> code_points_of(std::string_view text) {
  std::vector<uint32_t> points;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i]);
    const int length = utf8_sequence_length(text, i);
    if (length <= 0) {
      points.push_back(0xFFFD);
      ++i;
      continue;
    }
    uint32_t point = length == 1 ? lead : lead & (0x7Fu >> length);
    for (int k = 1; k < length; ++k) {
      point = point << 6 | (static_cast<uint8_t>(text[i + static_cast<size_t>(k)]) & 0x3F);
    }
    points.push_back(point);
    i += static_cast<size_t>(length);
  }
  return points;
}

Expr empty() { return {}; }

Expr nothing() { return choice({}); }

Expr literal(std::string_view text) {
  std::vector<Expr> bytes;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    bytes.push_back(byte_range(byte, byte));
  }
  return sequence(std::move(bytes));
}

Expr sequence(std::vector<Expr> parts) {
  if (parts.size() == 1) return std::move(parts[0]);
  Expr e;
  e.kind = Expr::Kind::kSequence;
  e.children = std::move(parts);
  return e;
}

Expr choice(std::vector<Expr> alternatives) {
  if (alternatives.size() == 1) return std::move(alternatives[0]);
  Expr e;
  e.kind = Expr::Kind::kChoice;
  e.children = std::move(alternatives);
  return e;
}

Expr repeat(Expr child, int64_t min, int64_t max) {
  Expr e;
  e.kind = Expr::Kind::kRepeat;
  e.children.push_back(std::move(child));
  e.min = min;
  e.max = max;
  return e;
}

Expr optional(Expr child) { return repeat(std::move(child), 0, 1); }

Expr rule_reference(size_t rule) {
  Expr e;
  e.kind = Expr::Kind::kRule;
  e.rule = rule;
  return e;
}

Expr one_of(const CodePointSet& set) {
  std::vector<Expr> alternatives;
  for (const CodePoints& range : normalized(set)) {
    // Cut where the number of bytes changes.
    uint32_t first = range.first;
    for (const uint32_t last : {0x7Fu, 0x7FFu, 0xFFFFu, kLastCodePoint}) {
      if (first > last || first > range.last) continue;
      append_utf8_range(first, std::min(last, range.last), alternatives);
      first = std::min(last, range.last) + 1;
    }
  }
  // Single bytes are one set: fewer states.
  Expr ascii;
  ascii.kind = Expr::Kind::kBytes;
  std::vector<Expr> others;
  for (Expr& alternative : alternatives) {
    if (alternative.kind == Expr::Kind::kBytes) {
      ascii.bytes |= alternative.bytes;
    } else {
      others.push_back(std::move(alternative));
    }
  }
  if (ascii.bytes.any()) others.insert(others.begin(), std::move(ascii));
  return choice(std::move(others));
}

}  // namespace mlc::engine::grammar
