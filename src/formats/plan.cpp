// SPDX-License-Identifier: Apache-2.0
// The plan's bytes: every number has 64 bits, every list its length before it, text its length and
// bytes.
#include "formats/plan.h"

#include <algorithm>
#include <cstring>

#include "support/check.h"
#include "support/strings.h"

namespace mlc::formats {
namespace {

constexpr std::string_view kTableNames[] = {
#define MLC_INPUT_TABLE(enumerator, name, per_group) name,
#include "formats/input_tables.def"
#undef MLC_INPUT_TABLE
};

// One description of the fields serves writing and reading: visit(archive, value) calls the archive
// for each field.
class Writer {
 public:
  template <class T>
  void number(T& value) {
    const auto wide = static_cast<int64_t>(value);
    bytes_.append(reinterpret_cast<const char*>(&wide), sizeof(wide));
  }
  void text(std::string& value) {
    auto size = static_cast<int64_t>(value.size());
    number(size);
    bytes_ += value;
  }
  template <class T, class F>
  void list(std::vector<T>& values, F each) {
    auto size = static_cast<int64_t>(values.size());
    number(size);
    for (T& value : values) each(value);
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  template <class T>
  void number(T& value) {
    int64_t wide = 0;
    if (!ok_ || bytes_.size() - at_ < sizeof(wide)) {
      ok_ = false;
      return;
    }
    std::memcpy(&wide, bytes_.data() + at_, sizeof(wide));
    at_ += sizeof(wide);
    value = static_cast<T>(wide);
  }
  void text(std::string& value) {
    uint64_t size = 0;
    number(size);
    if (!ok_ || size > bytes_.size() - at_) {
      ok_ = false;
      return;
    }
    value.assign(bytes_.substr(at_, size));
    at_ += size;
  }
  template <class T, class F>
  void list(std::vector<T>& values, F each) {
    uint64_t size = 0;
    number(size);
    // An element has at least eight bytes.
    if (!ok_ || size > (bytes_.size() - at_) / 8) {
      ok_ = false;
      return;
    }
    values.resize(size);
    for (T& value : values) each(value);
  }
  bool done() const { return ok_ && at_ == bytes_.size(); }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
  bool ok_ = true;
};

template <class A>
void visit(A& a, LinearSize& v) {
  a.number(v.constant);
  a.list(v.terms, [&](auto& term) {
    a.number(term.first);
    a.number(term.second);
  });
}

template <class A>
void visit(A& a, PlanArgument& v) {
  a.number(v.kind);
  a.number(v.index);
  a.number(v.group);
  a.number(v.symbol);
  visit(a, v.offset);
}

template <class A>
void visit(A& a, PlanVariant& v) {
  a.number(v.max_value);
  a.number(v.kernel);
  a.number(v.tasks.multiplier);
  a.number(v.tasks.symbol);
  a.number(v.tasks.divisor);
  a.list(v.arguments, [&](PlanArgument& argument) { visit(a, argument); });
}

template <class A>
void visit(A& a, Plan& v) {
  const auto numbers = [&](std::vector<int64_t>& list) {
    a.list(list, [&](int64_t& value) { a.number(value); });
  };
  a.number(v.vocab_size);
  a.list(v.weights, [&](PlanWeight& w) {
    a.text(w.name);
    a.number(w.dtype);
    numbers(w.shape);
  });
  a.list(v.cache_groups, [&](PlanCacheGroup& g) {
    a.number(g.kind);
    a.number(g.window);
    a.number(g.sink);
    a.number(g.kv_heads);
    a.number(g.head_dim);
    a.number(g.dtype);
    a.number(g.page_tokens);
    a.number(g.page_bytes);
    a.number(g.block_tokens);
    a.number(g.tile_tokens);
    numbers(g.layers);
  });
  a.number(v.cache_layers);
  a.text(v.constants);
  a.list(v.kernels, [&](PlanKernel& k) {
    a.text(k.name);
    a.number(k.scratch_bytes);
  });
  visit(a, v.arena_bytes);
  visit(a, v.logits_offset);
  a.list(v.outputs, [&](PlanOutput& o) {
    a.number(o.output);
    a.number(o.columns);
    visit(a, o.offset);
  });
  a.list(v.calls, [&](PlanCall& c) {
    a.text(c.label);
    a.number(c.symbol);
    a.list(c.variants, [&](PlanVariant& variant) { visit(a, variant); });
    a.number(c.outputs);
  });
}

// Whether every number of a plan that was read means something.
class Checker {
 public:
  explicit Checker(const Plan& plan) : plan_(plan) {}

  std::string run() {
    require(plan_.vocab_size > 0 && plan_.cache_layers >= 0 && plan_.cache_layers < 1 << 20,
            "sizes");
    for (const PlanWeight& w : plan_.weights) {
      require(static_cast<int>(w.dtype) <= static_cast<int>(DType::kF8E5M2), "a weight's dtype");
      for (const int64_t d : w.shape) require(d >= 0 && d < int64_t{1} << 40, "a weight's shape");
    }
    for (const PlanCacheGroup& g : plan_.cache_groups) {
      require(g.kind <= PlanCacheGroup::Kind::kWindow && g.page_tokens > 0 && g.page_bytes > 0 &&
                  g.block_tokens > 0 && g.block_tokens % g.page_tokens == 0 && g.tile_tokens > 0 &&
                  g.window >= 0 && g.sink >= 0,
              "a cache group");
      for (const int64_t layer : g.layers)
        require(layer >= 0 && layer < plan_.cache_layers, "a cache layer");
    }
    for (const PlanKernel& k : plan_.kernels)
      require(k.scratch_bytes >= 0 && k.scratch_bytes < 1 << 30, "scratch");
    linear(plan_.arena_bytes);
    linear(plan_.logits_offset);
    uint32_t seen = output_bit(Output::kLogits);
    for (const PlanOutput& o : plan_.outputs) {
      const bool known = static_cast<int>(o.output) < kNumOutputs;
      require(known && (seen & output_bit(o.output)) == 0 && o.columns > 0 &&
                  o.columns < int64_t{1} << 32,
              "an output");
      if (known) seen |= output_bit(o.output);
      linear(o.offset);
    }
    for (const PlanCall& call : plan_.calls) {
      symbol(call.symbol);
      require(!call.variants.empty(), "a call without variants");
      require((call.outputs & ~seen) == 0, "the outputs of a call");
      for (const PlanVariant& v : call.variants) variant(v);
    }
    return problem_;
  }

 private:
  void require(bool holds, const char* what) {
    if (!holds && problem_.empty()) problem_ = what;
  }
  void symbol(PlanSymbol s) {
    const bool plain = s <= static_cast<PlanSymbol>(Symbol::kNumLogits);
    const bool of_cache =
        s >= kFirstCacheSymbol && s < kFirstCacheSymbol + 4 * plan_.cache_groups.size();
    require(plain || of_cache, "a symbol");
  }
  void linear(const LinearSize& size) {
    require(size.constant >= 0, "an offset");
    for (const auto& [s, coefficient] : size.terms) {
      symbol(s);
      require(coefficient >= 0, "an offset");
    }
  }
  void variant(const PlanVariant& v) {
    if (v.kernel == PlanVariant::kNoKernel) return;
    require(v.kernel < plan_.kernels.size() && v.tasks.divisor > 0 && v.tasks.multiplier >= 0,
            "a kernel");
    symbol(v.tasks.symbol);
    for (const PlanArgument& a : v.arguments) {
      require(a.kind <= PlanArgument::Kind::kSize, "an argument");
      linear(a.offset);
      symbol(a.symbol);
      switch (a.kind) {
        case PlanArgument::Kind::kWeight:
          require(a.index < plan_.weights.size(), "a weight");
          break;
        case PlanArgument::Kind::kCache:
          require(a.index < static_cast<uint64_t>(plan_.cache_layers), "a cache layer");
          break;
        case PlanArgument::Kind::kInput:
          require(a.index < std::size(kTableNames) && a.group <= plan_.cache_groups.size(),
                  "a table");
          break;
        case PlanArgument::Kind::kConstants:
          require(static_cast<uint64_t>(a.offset.constant) <= plan_.constants.size(), "a constant");
          break;
        case PlanArgument::Kind::kArena:
        case PlanArgument::Kind::kSize:
          break;
      }
    }
  }

  const Plan& plan_;
  std::string problem_;
};

}  // namespace

std::string_view input_table_name(InputTable table) { return kTableNames[static_cast<int>(table)]; }

std::string plan_symbol_name(PlanSymbol symbol) {
  if (symbol < kFirstCacheSymbol) return std::string(symbol_name(static_cast<Symbol>(symbol)));
  const PlanSymbol i = symbol - kFirstCacheSymbol;
  return cat(i % 4 == 0 ? "attention_items." : "attention_partials.", i / 4);
}

LinearSize LinearSize::of(PlanSymbol symbol, int64_t coefficient, int64_t constant) {
  LinearSize size(constant);
  if (coefficient != 0) size.terms.emplace_back(symbol, coefficient);
  return size;
}

LinearSize LinearSize::operator+(const LinearSize& other) const {
  LinearSize sum = *this;
  sum.constant += other.constant;
  for (const auto& [symbol, coefficient] : other.terms) {
    const auto at = std::find_if(sum.terms.begin(), sum.terms.end(),
                                 [&](const auto& t) { return t.first == symbol; });
    if (at == sum.terms.end()) {
      sum.terms.emplace_back(symbol, coefficient);
    } else {
      at->second += coefficient;
    }
  }
  std::sort(sum.terms.begin(), sum.terms.end());
  return sum;
}

int64_t Plan::columns(Output output) const {
  if (output == Output::kLogits) return vocab_size;
  for (const PlanOutput& o : outputs) {
    if (o.output == output) return o.columns;
  }
  return 0;
}

const LinearSize& Plan::offset(Output output) const {
  if (output == Output::kLogits) return logits_offset;
  const auto found = std::find_if(outputs.begin(), outputs.end(),
                                  [&](const PlanOutput& o) { return o.output == output; });
  MLC_CHECK(found != outputs.end()) << output_name(output);
  return found->offset;
}

std::string serialize_plan(const Plan& plan) {
  Plan copy = plan;
  Writer writer;
  visit(writer, copy);
  return writer.take();
}

Result<Plan> parse_plan(std::string_view bytes, std::string_view where) {
  Plan plan;
  Reader reader(bytes);
  visit(reader, plan);
  const std::string problem = reader.done() ? Checker(plan).run() : "its length";
  if (!problem.empty()) {
    return user_error(std::string(where), cat("has a damaged plan: ", problem), "",
                      "compile the library again");
  }
  return plan;
}

std::string to_text(const LinearSize& size) {
  std::string text = std::to_string(size.constant);
  for (const auto& [symbol, coefficient] : size.terms)
    text += cat(" + ", coefficient, " ", plan_symbol_name(symbol));
  return text;
}

std::string to_text(const Plan& plan) {
  std::string text = cat("vocab_size ", plan.vocab_size, "\narena ", to_text(plan.arena_bytes),
                         "\nlogits at ", to_text(plan.logits_offset), "\n");
  for (const PlanOutput& o : plan.outputs)
    text += cat(output_name(o.output), " ", o.columns, " at ", to_text(o.offset), "\n");
  text += cat("constants ", plan.constants.size(), " bytes\n");
  for (size_t i = 0; i < plan.cache_groups.size(); ++i) {
    const PlanCacheGroup& g = plan.cache_groups[i];
    text += cat(
        "cache ", i, ": ",
        g.kind == PlanCacheGroup::Kind::kFull ? "full" : cat("window ", g.window, " sink ", g.sink),
        ", ", g.layers.size(), " layers, ", g.kv_heads, " heads of ", g.head_dim, " ",
        dtype_short_name(g.dtype), ", pages of ", g.page_tokens, " tokens and ", g.page_bytes,
        " bytes, blocks of ", g.block_tokens, ", tiles of ", g.tile_tokens, "\n");
  }
  for (size_t i = 0; i < plan.kernels.size(); ++i) {
    text += cat("kernel ", i, ": ", plan.kernels[i].name);
    if (plan.kernels[i].scratch_bytes > 0) text += cat(", scratch ", plan.kernels[i].scratch_bytes);
    text += "\n";
  }
  for (const PlanCall& call : plan.calls) {
    text += cat("call ", call.label);
    if ((call.outputs & output_bit(Output::kLogits)) == 0) {
      for (const PlanOutput& o : plan.outputs) {
        if (call.outputs & output_bit(o.output)) text += cat(" for ", output_name(o.output));
      }
    }
    text += "\n";
    for (const PlanVariant& v : call.variants) {
      text += cat("  ", plan_symbol_name(call.symbol),
                  v.max_value == INT64_MAX ? std::string() : cat(" <= ", v.max_value), ": ");
      if (v.kernel == PlanVariant::kNoKernel) {
        text += "nothing\n";
        continue;
      }
      text += cat(plan.kernels[v.kernel].name, " x ", v.tasks.multiplier);
      if (v.tasks.symbol != 0) {
        text += cat(" * ", plan_symbol_name(v.tasks.symbol),
                    v.tasks.divisor == 1 ? std::string() : cat(" / ", v.tasks.divisor));
      }
      text += " (";
      for (size_t i = 0; i < v.arguments.size(); ++i) {
        const PlanArgument& a = v.arguments[i];
        text += i == 0 ? "" : ", ";
        switch (a.kind) {
          case PlanArgument::Kind::kArena:
            text += cat("arena[", to_text(a.offset), "]");
            break;
          case PlanArgument::Kind::kWeight:
            text += plan.weights[a.index].name;
            break;
          case PlanArgument::Kind::kConstants:
            text += cat("constants[", a.offset.constant, "]");
            break;
          case PlanArgument::Kind::kCache:
            text += cat("cache[", a.index, "]");
            break;
          case PlanArgument::Kind::kInput:
            text += input_table_name(static_cast<InputTable>(a.index));
            if (a.index >= static_cast<uint32_t>(InputTable::kCacheSlots))
              text += cat(".", a.group);
            break;
          case PlanArgument::Kind::kSize:
            text += plan_symbol_name(a.symbol);
            break;
        }
      }
      text += ")\n";
    }
  }
  return text;
}

}  // namespace mlc::formats
