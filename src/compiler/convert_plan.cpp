// SPDX-License-Identifier: Apache-2.0
#include "compiler/convert_plan.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "formats/weight_file.h"
#include "support/check.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::compiler {
namespace {

using formats::CheckpointTensor;
using quantization::Quantization;
using quantization::Scheme;
using quantization::StoredTensor;
using quantization::Weight;

// A parameter to convert, or one tensor of an AWQ linear, before its rule is resolved.
struct Wanted {
  ConvertItem::Action action;
  const Weight* weight;
  models::WeightRule rule;
  std::vector<StoredTensor> stored;
  int64_t columns_per_value = 1;  // kJoinColumns: outputs that one stored value holds
};

// The rule of one tensor of an AWQ linear: "q_proj.weight" becomes "q_proj.qweight".
models::WeightRule awq_rule(const models::WeightRule& rule, const std::string& parameter) {
  if (rule.transpose || rule.transpose_result || rule.add_one) {
    throw UserError(rule.parameter, "has no AWQ form", "a model with plain linears",
                    "convert the float checkpoint with q4f16_1");
  }
  models::WeightRule renamed{.parameter = parameter, .sources = {}, .rows = rule.rows};
  const std::string suffix = parameter.substr(parameter.rfind('.'));
  for (const std::string& source : rule.sources) {
    renamed.sources.push_back(cat(quantization::module_name(source), suffix));
  }
  return renamed;
}

std::vector<Wanted> list_wanted(std::span<const ParameterToConvert> parameters,
                                const Quantization& mode) {
  std::vector<Wanted> wanted;
  for (const ParameterToConvert& parameter : parameters) {
    const Weight& weight = parameter.weight;
    MLC_CHECK(!parameter.rule.sources.empty()) << weight.name << " has no source";
    std::vector<StoredTensor> stored = or_throw(stored_tensors(mode, weight));
    if (!is_quantized(mode, weight)) {
      wanted.push_back({ConvertItem::Action::kCopy, &weight, parameter.rule, std::move(stored)});
    } else if (mode.scheme == Scheme::kGroup) {
      wanted.push_back({ConvertItem::Action::kPack, &weight, parameter.rule, std::move(stored)});
    } else {
      for (StoredTensor& tensor : stored) {
        models::WeightRule rule = awq_rule(parameter.rule, tensor.name);
        const int64_t outputs_per_value = weight.shape[0] / tensor.shape[1];
        wanted.push_back({ConvertItem::Action::kJoinColumns,
                          &weight,
                          std::move(rule),
                          {std::move(tensor)},
                          outputs_per_value});
      }
    }
  }
  return wanted;
}

void check_names(const std::vector<Wanted>& wanted) {
  std::unordered_set<std::string_view> names;
  for (const Wanted& item : wanted) {
    for (const StoredTensor& tensor : item.stored) {
      if (!names.insert(tensor.name).second) {
        throw UserError(cat("parameter ", tensor.name), "is produced twice", "each once");
      }
    }
  }
}

void check_sources(const std::vector<Wanted>& wanted, const TensorNumbers& numbers,
                   const Quantization& mode, const std::string& source) {
  std::vector<std::string> missing;
  std::unordered_set<std::string_view> seen;
  bool has_packed = false;  // another scheme's names beside those that are missing
  for (const Wanted& item : wanted) {
    for (const std::string& name : item.rule.sources) {
      if (numbers.contains(name) || !seen.insert(name).second) continue;
      missing.push_back(name);
      if (!name.ends_with(".weight")) continue;
      const std::string packed = cat(quantization::module_name(name), ".qweight");
      has_packed = has_packed || numbers.contains(packed);
    }
  }
  if (missing.empty()) return;
  std::string remedy = "is this the config of another checkpoint, or a part of a checkpoint?";
  if (has_packed)
    remedy = "the checkpoint is quantized: if by AWQ, use q4f16_awq and --source-format awq";
  if (mode.scheme == Scheme::kAwq) {
    remedy = "q4f16_awq imports AWQ checkpoints only; quantize others with q4f16_1";
  }
  const size_t count = missing.size();
  constexpr size_t kShown = 12;
  if (count > kShown) {
    missing.resize(kShown);
    missing.push_back(cat("and ", count - kShown, " others"));
  }
  throw UserError(source,
                  cat("lacks ", count, count == 1 ? " tensor" : " tensors",
                      " that the model needs:\n    ", join(missing, "\n    ")),
                  "", remedy);
}

// Sources side by side: each a matrix [in, outputs / outputs per value].
ResolvedRule resolve_columns(const Wanted& item, const formats::Checkpoint& checkpoint,
                             const TensorNumbers& numbers, const std::string& where) {
  const StoredTensor& tensor = item.stored[0];
  ResolvedRule rule;
  rule.parameter = tensor.name;
  rule.dtype = tensor.dtype;
  rule.rows = tensor.shape[0];
  rule.row_length = tensor.shape[1];
  int64_t columns = 0;
  bool fits = true;
  std::vector<std::string> shapes;
  for (const std::string& name : item.rule.sources) {
    const int64_t number = numbers.at(name);
    const CheckpointTensor& source = checkpoint.tensors()[static_cast<size_t>(number)];
    const bool is_word = tensor.dtype == DType::kU32;
    if (is_word ? source.dtype != DType::kI32 && source.dtype != DType::kU32
                : source.dtype != DType::kF16) {
      throw UserError(cat(where, ": tensor ", name),
                      cat("has the dtype ", dtype_name(source.dtype)),
                      is_word ? "int32, as AWQ stores it" : "float16, as AWQ stores it");
    }
    shapes.push_back(cat(name, " ", formats::shape_text(source.shape)));
    fits = fits && source.shape.size() == 2 && source.shape[0] == rule.rows;
    if (!fits) continue;
    rule.sources.push_back({number, source.dtype, source.shape[0], source.shape[1], 1, false});
    if (item.rule.rows.empty()) {
      rule.selection.push_back({static_cast<int>(rule.sources.size()) - 1, 0, source.shape[1], 1});
      columns += source.shape[1];
    }
  }
  for (const models::SourceRows& rows : item.rule.rows) {
    const int64_t per_value = item.columns_per_value;
    fits = fits && rows.step == 1 && rows.begin % per_value == 0 && rows.count % per_value == 0 &&
           (rows.begin + rows.count) / per_value <=
               rule.sources[static_cast<size_t>(rows.source)].row_length;
    rule.selection.push_back({rows.source, rows.begin / per_value, rows.count / per_value, 1});
    columns += rows.count / per_value;
  }
  if (fits && columns == rule.row_length) return rule;
  throw UserError(cat(where, ": parameter ", tensor.name),
                  cat("cannot be made from ", join(shapes, ", ")),
                  cat("columns for the shape ", formats::shape_text(tensor.shape),
                      ", which config.json and groups of 128 imply"),
                  "is this the config of another checkpoint?");
}

// The numbers of `wanted`, each where its first source comes; those of one source as they were
// listed.
std::vector<size_t> loading_order(const std::vector<Wanted>& wanted,
                                  const std::vector<CheckpointTensor>& tensors) {
  std::unordered_map<std::string_view, std::vector<size_t>> users;
  for (size_t i = 0; i < wanted.size(); ++i) {
    for (const std::string& source : wanted[i].rule.sources) users[source].push_back(i);
  }
  std::vector<size_t> order;
  std::vector<bool> is_listed(wanted.size());
  for (const CheckpointTensor& tensor : tensors) {
    const auto found = users.find(tensor.name);
    if (found == users.end()) continue;
    for (const size_t i : found->second) {
      if (is_listed[i]) continue;
      is_listed[i] = true;
      order.push_back(i);
    }
  }
  return order;
}

// Elements of all tensors in the files that are read, the declared unused ones apart.
int64_t count_source_elements(const std::vector<CheckpointTensor>& tensors,
                              const std::vector<bool>& is_used,
                              const std::unordered_set<std::string_view>& known_unused) {
  std::unordered_set<int64_t> files;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (is_used[i]) files.insert(tensors[i].file);
  }
  int64_t count = 0;
  for (const CheckpointTensor& tensor : tensors) {
    if (files.contains(tensor.file) && !known_unused.contains(tensor.name)) {
      count += formats::count_elements(tensor.shape);
    }
  }
  return count;
}

}  // namespace

ConvertPlan plan_conversion(const formats::Checkpoint& checkpoint,
                            std::span<const ParameterToConvert> parameters,
                            const Quantization& mode, const ConvertOptions& options) {
  const std::vector<CheckpointTensor>& tensors = checkpoint.tensors();
  TensorNumbers numbers;
  for (size_t i = 0; i < tensors.size(); ++i) {
    numbers.emplace(tensors[i].name, static_cast<int64_t>(i));
  }
  std::vector<Wanted> wanted = list_wanted(parameters, mode);
  check_names(wanted);
  check_sources(wanted, numbers, mode, options.source);

  ConvertPlan plan;
  std::vector<bool> is_used(tensors.size());
  for (const size_t i : loading_order(wanted, tensors)) {
    Wanted& item = wanted[i];
    ConvertItem planned;
    planned.action = item.action;
    planned.kind = item.weight->kind;
    if (item.action == ConvertItem::Action::kJoinColumns) {
      planned.rule = resolve_columns(item, checkpoint, numbers, options.source);
    } else {
      const bool is_packed = item.action == ConvertItem::Action::kPack;
      planned.is_transposed = is_packed && mode.linear_layout == quantization::Layout::kKN &&
                              item.weight->kind == quantization::WeightKind::kLinear;
      planned.rule =
          resolve(item.rule, item.weight->shape, is_packed ? mode.model_dtype : item.weight->dtype,
                  checkpoint, numbers, options.source);
    }
    for (const SourceMatrix& source : planned.rule.sources) {
      is_used[static_cast<size_t>(source.tensor)] = true;
    }
    planned.source_bytes =
        planned.rule.rows * planned.rule.row_length * dtype_bytes(planned.rule.sources[0].dtype);
    plan.source_bytes += planned.source_bytes;
    planned.first_output = static_cast<int64_t>(plan.outputs.size());
    for (StoredTensor& tensor : item.stored) {
      plan.outputs.push_back({std::move(tensor.name), std::move(tensor.shape), tensor.dtype});
    }
    plan.items.push_back(std::move(planned));
  }
  const std::unordered_set<std::string_view> known_unused(options.unused_sources.begin(),
                                                          options.unused_sources.end());
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!is_used[i] && !known_unused.contains(tensors[i].name)) {
      plan.unused_sources.push_back(tensors[i].name);
    }
  }
  plan.source_elements = count_source_elements(tensors, is_used, known_unused);
  return plan;
}

}  // namespace mlc::compiler
