// SPDX-License-Identifier: Apache-2.0
#include "engine/memory_report.h"

#include <algorithm>
#include <set>

#include "support/strings.h"

namespace mlc::engine {
namespace {

// Kernels are named after the operation (kernel/templates/gather.cpp).
bool reads_rows(const formats::PlanKernel& kernel) { return kernel.name.starts_with("embedding_"); }

int64_t tensor_bytes(const std::vector<int64_t>& shape, DType dtype) {
  int64_t bytes = dtype_bytes(dtype);
  for (const int64_t d : shape) bytes *= d;
  return bytes;
}

}  // namespace

int64_t weight_bytes_read(const formats::Plan& plan, int64_t tokens) {
  std::set<uint32_t> read;
  for (const formats::PlanCall& call : plan.calls) {
    if ((call.outputs & formats::output_bit(formats::Output::kLogits)) == 0) continue;
    const auto variant =
        std::find_if(call.variants.begin(), call.variants.end(),
                     [&](const formats::PlanVariant& v) { return tokens <= v.max_value; });
    if (variant == call.variants.end() || variant->kernel == formats::PlanVariant::kNoKernel)
      continue;
    if (reads_rows(plan.kernels[variant->kernel])) continue;
    for (const formats::PlanArgument& a : variant->arguments) {
      if (a.kind == formats::PlanArgument::Kind::kWeight) read.insert(a.index);
    }
  }
  int64_t bytes = 0;
  for (const uint32_t index : read)
    bytes += tensor_bytes(plan.weights[index].shape, plan.weights[index].dtype);
  return bytes;
}

Result<Json> memory_report(const Json& metadata, std::string_view where) {
  MLC_ASSIGN_OR_RETURN(const Json* params, json_member(metadata, "params", where));
  MLC_ASSIGN_OR_RETURN(const Json* memory, json_member(metadata, "memory_usage", where));
  MLC_ASSIGN_OR_RETURN(const Json* cache, json_member(metadata, "kv_cache", where));
  if (!params->is_array())
    return user_error(cat(where, ": params"), cat("is ", params->kind_name()), "a list");
  int64_t bytes = 0;
  for (const Json& param : params->as_array()) {
    MLC_ASSIGN_OR_RETURN(const std::string name, json_string(param, "dtype", where));
    MLC_ASSIGN_OR_RETURN(const Json* shape, json_member(param, "shape", where));
    const std::optional<DType> dtype = parse_dtype(name);
    if (!dtype)
      return user_error(cat(where, ": params"), cat("have the dtype ", name), "one that is known");
    std::vector<int64_t> sizes;
    if (!shape->is_array())
      return user_error(cat(where, ": params: shape"), cat("is ", shape->kind_name()), "a list");
    for (const Json& size : shape->as_array()) {
      if (!size.is_int()) {
        return user_error(
            cat(where, ": params: shape"),
            cat("holds ", size.is_string() ? size.as_string() : std::string(size.kind_name())),
            "integers", "give the model's config with --mlc-chat-config");
      }
      sizes.push_back(size.as_int());
    }
    bytes += tensor_bytes(sizes, *dtype);
  }
  MLC_ASSIGN_OR_RETURN(const int64_t per_token,
                       json_int(*cache, "bytes_per_token", cat(where, ": kv_cache")));
  Json report = Json::object();
  report.set("parameter_bytes", bytes);
  report.set("temporary_buffer_bytes", *memory);
  report.set("kv_cache_bytes_per_token", per_token);
  return report;
}

}  // namespace mlc::engine
