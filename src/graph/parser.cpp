// SPDX-License-Identifier: Apache-2.0
// Reads graphs back. Types of results are inferred; those of inputs and parameters are written.
#include <algorithm>
#include <limits>
#include <map>

#include "graph/graph.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::graph {
namespace {

class Parser {
 public:
  Parser(std::string_view text, std::string_view where) : text_(text), where_(where) {}

  Graph run() {
    while (accept_word("cache")) cache();
    expect_word("func");
    expect('@');
    graph_.name = name();
    expect('(');
    while (!accept(')')) {
      if (!graph_.nodes.empty()) expect(',');
      argument();
    }
    expect('-');
    expect('>');
    skip_blanks();
    const size_t result_place = at_;
    const Type promised = type();
    expect('{');
    while (!accept_word("return")) statement();
    graph_.result = value();
    if (graph_.node(graph_.result).type != promised) {
      fail_at(result_place, cat("the result is ", to_text(graph_.node(graph_.result).type),
                                ", not ", to_text(promised)));
    }
    while (accept(',')) extra();
    expect('}');
    skip_blanks();
    if (at_ != text_.size()) fail("text after the function");
    return std::move(graph_);
  }

 private:
  [[noreturn]] void fail_at(size_t place, const std::string& what) {
    at_ = place;
    fail(what);
  }
  [[noreturn]] void fail(const std::string& what) {
    const std::string_view before = text_.substr(0, at_);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const size_t newline = before.rfind('\n');
    throw UserError(cat(where_, ":", line, ":",
                        at_ - (newline == std::string_view::npos ? 0 : newline + 1) + 1),
                    what);
  }

  static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
  }

  void skip_blanks() {
    while (at_ < text_.size()) {
      if (text_[at_] == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t') {
        ++at_;
      } else {
        break;
      }
    }
  }
  bool accept(char c) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(cat("expected ", c));
  }
  bool accept_word(std::string_view word) {
    skip_blanks();
    if (!text_.substr(at_).starts_with(word)) return false;
    const size_t end = at_ + word.size();
    if (end < text_.size() && is_name_char(text_[end])) return false;
    at_ = end;
    return true;
  }
  void expect_word(std::string_view word) {
    if (!accept_word(word)) fail(cat("expected ", word));
  }
  std::string name() {
    skip_blanks();
    const size_t begin = at_;
    while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
    if (begin == at_) fail("expected a name");
    return std::string(text_.substr(begin, at_ - begin));
  }
  std::string number_text() {
    skip_blanks();
    const size_t begin = at_;
    while (at_ < text_.size() &&
           (is_name_char(text_[at_]) || text_[at_] == '-' || text_[at_] == '+'))
      ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }
  int64_t integer() {
    const std::string text = number_text();
    const auto value = parse_int64(text);
    if (!value) fail(text.empty() ? "expected an integer" : "expected an integer, found " + text);
    return *value;
  }
  int64_t integer_in(int64_t least, int64_t most) {
    const int64_t value = integer();
    if (value < least || value > most)
      fail(cat("expected a number from ", least, " to ", most, ", found ", value));
    return value;
  }
  double number() {
    const std::string text = number_text();
    if (text == "Infinity") return std::numeric_limits<double>::infinity();
    if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
    const auto value = parse_double(text);
    if (!value) fail("expected a number, found " + text);
    return *value;
  }
  std::string quoted() {
    expect('"');
    const size_t end = text_.find('"', at_);
    if (end == std::string_view::npos) fail("unterminated text");
    std::string text(text_.substr(at_, end - at_));
    at_ = end + 1;
    return text;
  }

  DType dtype(const std::string& text) {
    const auto found = parse_short_dtype(text);
    if (!found) fail("unknown dtype " + text);
    return *found;
  }

  std::vector<Dim> shape() {
    std::vector<Dim> dims;
    expect('[');
    while (!accept(']')) {
      if (!dims.empty()) expect(',');
      const std::string text = name();
      if (const auto value = parse_int64(text)) {
        if (*value <= 0 || *value > INT32_MAX) fail("no size: " + text);
        dims.emplace_back(*value);
      } else if (const auto symbol = formats::parse_symbol(text)) {
        dims.emplace_back(*symbol);
      } else {
        fail("unknown size " + text);
      }
    }
    return dims;
  }

  Type type() {
    const std::string text = name();
    Type result;
    const bool quantized = text.size() == 2 && text[0] == 'q';
    if (!quantized) result.dtype = dtype(text);
    result.shape = shape();
    skip_blanks();
    if (!quantized && !(result.dtype == DType::kI8 && at_ < text_.size() && text_[at_] == '{'))
      return result;
    BitLayout layout;
    GroupedInt8 grouped;
    if (quantized) {
      if (text != "q3" && text != "q4") fail("unknown dtype " + text);
      layout.bits = text[1] - '0';
    }
    expect('{');
    bool first = true;
    while (!accept('}')) {
      if (!first) expect(',');
      first = false;
      const std::string key = name();
      expect('=');
      if (key == "group") {
        layout.group_size = grouped.group_size = static_cast<int>(integer_in(1, 4096));
      } else if (key == "bits") {
        grouped.bits = static_cast<int>(integer_in(3, 8));
      } else if (key == "scale") {
        layout.scale = dtype(name());
      } else if (key == "zeros") {
        expect_word("stored");
        layout.stored_zeros = true;
      } else if (key == "order") {
        const std::string order = name();
        if (order != "rows" && order != "columns" && order != "awq") fail("unknown order " + order);
        layout.order = order == "columns" ? WordOrder::kColumns
                       : order == "awq"   ? WordOrder::kAwq
                                          : WordOrder::kRows;
      } else {
        fail("unknown property " + key);
      }
    }
    if (quantized) {
      if (layout.group_size % layout.codes_per_word() != 0) {
        fail(cat("groups of ", layout.group_size, " are no whole words of ",
                 layout.codes_per_word(), " codes"));
      }
      result.layout = layout;
      result.dtype = layout.scale;
    } else {
      result.grouped = grouped;
    }
    return result;
  }

  void define(const std::string& key, NodeId id) {
    if (!values_.emplace(key, id).second) fail("%" + key + " stands twice");
  }

  NodeId value() {
    skip_blanks();
    const size_t begin = at_;
    expect('%');
    const std::string key = name();
    const auto found = values_.find(key);
    if (found == values_.end()) fail_at(begin, "no value %" + key);
    return found->second;
  }

  void extra() {
    skip_blanks();
    const size_t place = at_;
    const std::string key = name();
    const auto output = formats::parse_output(key);
    if (!output || *output == formats::Output::kLogits) fail_at(place, "unknown output " + key);
    for (const Graph::Extra& other : graph_.extras) {
      if (other.output == *output) fail_at(place, key + " stands twice");
    }
    graph_.extras.push_back({*output, value()});
  }

  void argument() {
    expect('%');
    Node node;
    node.name = name();
    expect(':');
    node.type = node.base_type = type();
    node.op = Op::kInput;
    for (const auto& [word, kind] : {std::pair{"linear", ParameterKind::kLinear},
                                     std::pair{"embedding", ParameterKind::kEmbedding},
                                     std::pair{"plain", ParameterKind::kPlain}}) {
      if (!accept_word(word)) continue;
      node.op = Op::kParameter;
      node.kind = kind;
    }
    if (node.op == Op::kParameter) {
      for (const Dim& dim : node.type.shape) {
        if (dim.is_symbol()) fail("a parameter of a symbolic size");
      }
      skip_blanks();
      while (at_ < text_.size() && text_[at_] == '"') {
        StoredTensor tensor;
        tensor.name = quoted();
        tensor.dtype = dtype(name());
        for (const Dim& dim : shape()) tensor.shape.push_back(dim.value);
        node.stored.push_back(std::move(tensor));
        skip_blanks();
      }
      // A float parameter may leave out the one tensor that has its name.
      if (node.stored.empty() && !node.type.layout) {
        StoredTensor tensor{node.name, node.type.dtype, {}};
        for (const Dim& dim : node.type.shape) tensor.shape.push_back(dim.value);
        node.stored.push_back(std::move(tensor));
      }
    }
    const std::string key = node.name;
    define(key, graph_.add(std::move(node)));
  }

  AttrValue attr_value(Attr attr) {
    switch (attr_kind(attr)) {
      case AttrKind::kInt:
        return integer();
      case AttrKind::kFloat:
        return number();
      case AttrKind::kText:
        return quoted();
      case AttrKind::kOp:
        return op();
      case AttrKind::kInts: {
        std::vector<int64_t> list;
        expect('[');
        while (!accept(']')) {
          if (!list.empty()) expect(',');
          list.push_back(integer());
        }
        return list;
      }
      case AttrKind::kFloats: {
        std::vector<double> list;
        expect('[');
        while (!accept(']')) {
          if (!list.empty()) expect(',');
          list.push_back(number());
        }
        return list;
      }
    }
    fail("attribute");
  }

  // Attributes in braces, if there are any; `node` receives the epilogue.
  Attrs attributes(Node* node) {
    Attrs attrs;
    if (!accept('{')) return attrs;
    bool first = true;
    while (!accept('}')) {
      if (!first) expect(',');
      first = false;
      skip_blanks();
      const size_t begin = at_;
      const std::string key = name();
      expect('=');
      if (key == "epilogue" && node != nullptr) {
        epilogue(*node);
        continue;
      }
      const auto attr = parse_attr(key);
      if (!attr) fail_at(begin, "unknown attribute " + key);
      attrs.set(*attr, attr_value(*attr));
    }
    return attrs;
  }

  Op op() {
    skip_blanks();
    const size_t begin = at_;
    const std::string text = name();
    const auto found = parse_op(text);
    if (!found) fail_at(begin, "unknown operator " + text);
    return *found;
  }

  void epilogue(Node& node) {
    expect('[');
    while (!accept(']')) {
      if (!node.epilogue.empty()) expect(',');
      EpilogueOp e;
      e.op = op();
      skip_blanks();
      bool more = at_ < text_.size() && text_[at_] == '%';
      while (more) {
        e.operands.push_back(static_cast<int>(node.operands.size()));
        node.operands.push_back(value());
        // A comma before another value goes on with the operands, any other ends the operator.
        skip_blanks();
        size_t next = at_ + 1;
        while (next < text_.size() && text_[next] == ' ') ++next;
        more = text_[at_] == ',' && next < text_.size() && text_[next] == '%';
        if (more) expect(',');
      }
      e.attrs = attributes(nullptr);
      node.epilogue.push_back(std::move(e));
    }
  }

  void statement() {
    expect('%');
    const std::string key = name();
    expect('=');
    skip_blanks();
    const size_t begin = at_;
    Node node;
    node.op = op();
    skip_blanks();
    if (at_ < text_.size() && text_[at_] == '%') {
      do node.operands.push_back(value());
      while (accept(','));
    }
    const size_t base = node.operands.size();
    node.attrs = attributes(&node);
    try {
      std::vector<Type> types;
      for (size_t k = 0; k < base; ++k) types.push_back(graph_.node(node.operands[k]).type);
      node.base_type = node.type = infer_type(node.op, types, node.attrs);
      for (EpilogueOp& e : node.epilogue) {
        types = {node.type};
        for (const int k : e.operands)
          types.push_back(graph_.node(node.operands[static_cast<size_t>(k)]).type);
        e.type = node.type = infer_type(e.op, types, e.attrs);
      }
    } catch (const IrError& error) {
      fail_at(begin, error.what());
    }
    define(key, graph_.add(std::move(node)));
  }

  void cache() {
    expect('@');
    integer();
    expect('{');
    CacheGroup group;
    bool first = true;
    while (!accept('}')) {
      if (!first) expect(',');
      first = false;
      const std::string key = name();
      expect('=');
      if (key == "kind") {
        const std::string kind = name();
        if (kind != "full" && kind != "window") fail("unknown kind " + kind);
        group.kind = kind == "window" ? CacheGroup::Kind::kWindow : CacheGroup::Kind::kFull;
      } else if (key == "window") {
        group.window = integer();
      } else if (key == "sink") {
        group.sink = integer();
      } else if (key == "kv_heads") {
        group.kv_heads = integer();
      } else if (key == "head_dim") {
        group.head_dim = integer();
      } else if (key == "dtype") {
        group.dtype = dtype(name());
      } else if (key == "layers") {
        expect('[');
        while (!accept(']')) {
          if (!group.layers.empty()) expect(',');
          group.layers.push_back(integer());
        }
      } else {
        fail("unknown property " + key);
      }
    }
    graph_.cache.push_back(std::move(group));
  }

  std::string_view text_;
  std::string_view where_;
  size_t at_ = 0;
  Graph graph_;
  std::map<std::string, NodeId, std::less<>> values_;
};

}  // namespace

Graph parse_graph(std::string_view text, std::string_view where) {
  Graph graph = Parser(text, where).run();
  try {
    verify(graph);
  } catch (const IrError& error) {
    throw UserError(std::string(where), error.what());
  }
  return graph;
}

}  // namespace mlc::graph
