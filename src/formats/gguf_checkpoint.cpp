// SPDX-License-Identifier: Apache-2.0
// Every tensor of the Hugging Face form is put together from runs: rows that follow each other in
// one tensor of the file, or one head of it whose rotary halves alternate there. A vector has rows
// of one element. Blocks lie within rows, so any run of rows can be dequantized by itself.
#include "formats/gguf_checkpoint.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>

#include "formats/gguf_architecture.h"
#include "formats/weight_file.h"
#include "support/strings.h"

namespace mlc::formats {
namespace {

struct Run {
  const GgufTensor* source;
  int64_t source_row;  // where it begins there
  int64_t rows;
  bool interleaved = false;  // row 2i + p of the source is row p * rows / 2 + i here
  int64_t begin = 0;         // where it begins in the joined rows
};

struct Assembly {
  CheckpointTensor tensor;
  std::vector<Run> runs;
  int64_t rows = 0;         // of all runs
  int64_t row_length = 1;   // elements
  bool transposed = false;  // the runs make the columns of the tensor
  bool minus_one = false;
};

// Rows [begin, begin + count) of all runs, as parts of runs: visit(run, first row in the run,
// count).
template <class Visit>
void visit_runs(const Assembly& assembly, int64_t begin, int64_t count, Visit visit) {
  auto run = std::upper_bound(assembly.runs.begin(), assembly.runs.end(), begin,
                              [](int64_t row, const Run& r) { return row < r.begin + r.rows; });
  for (; count > 0 && run != assembly.runs.end(); ++run) {
    const int64_t first = begin - run->begin;
    const int64_t now = std::min(count, run->rows - first);
    visit(*run, first, now);
    begin += now;
    count -= now;
  }
}

int64_t source_row(const Run& run, int64_t row) {
  if (!run.interleaved) return run.source_row + row;
  const int64_t half = run.rows / 2;
  return run.source_row + (row < half ? 2 * row : 2 * (row - half) + 1);
}

DType stored_dtype(GgufType type) {
  if (type == GgufType::kF16) return DType::kF16;
  if (type == GgufType::kBF16) return DType::kBF16;
  return DType::kF32;
}

class GgufCheckpoint : public Checkpoint {
 public:
  GgufCheckpoint(GgufFile file, std::vector<Assembly> assemblies)
      : file_(std::move(file)), assemblies_(std::move(assemblies)) {
    for (const Assembly& assembly : assemblies_) tensors_.push_back(assembly.tensor);
  }

  const std::vector<CheckpointTensor>& tensors() const override { return tensors_; }

  Result<void> read_rows(int64_t index, int64_t begin, int64_t count,
                         std::byte* out) const override {
    const Assembly& assembly = assemblies_[static_cast<size_t>(index)];
    if (assembly.transposed) {
      read_columns(assembly, begin, count, out);
      return {};
    }
    const int64_t length = assembly.row_length;
    const int64_t row_bytes = length * dtype_bytes(assembly.tensor.dtype);
    visit_runs(assembly, begin, count, [&](const Run& run, int64_t first, int64_t rows) {
      if (!run.interleaved) {
        read_elements(assembly, run, (run.source_row + first) * length, rows * length, out);
        out += rows * row_bytes;
        return;
      }
      for (int64_t row = first; row < first + rows; ++row) {
        read_elements(assembly, run, source_row(run, row) * length, length, out);
        out += row_bytes;
      }
    });
    return {};
  }

  void release_rows(int64_t index, int64_t begin, int64_t count) const override {
    const Assembly& assembly = assemblies_[static_cast<size_t>(index)];
    if (assembly.transposed) {  // each of its rows comes from all rows of the file
      begin = 0;
      count = assembly.rows;
    }
    visit_runs(assembly, begin, count, [&](const Run& run, int64_t first, int64_t rows) {
      const GgufTensor& source = *run.source;
      const int64_t from = run.source_row + (run.interleaved ? 0 : first);
      const int64_t to = from + (run.interleaved ? run.rows : rows);
      const int64_t block = gguf_block_elements(source.type);
      const int64_t block_bytes = gguf_block_bytes(source.type);
      file_.release(source, from * assembly.row_length / block * block_bytes,
                    (to * assembly.row_length + block - 1) / block * block_bytes);
    });
  }

 private:
  // Elements of the run's source, counted from its start.
  static void read_elements(const Assembly& assembly, const Run& run, int64_t begin, int64_t count,
                            std::byte* out) {
    const GgufTensor& source = *run.source;
    if (assembly.tensor.dtype != DType::kF32) {
      std::memcpy(out, source.data.data() + begin * 2, static_cast<size_t>(count) * 2);
      return;
    }
    gguf_dequantize(source.type, source.data.data(), begin, count, out);
    if (!assembly.minus_one) return;
    for (int64_t i = 0; i < count; ++i) {
      float value;
      std::memcpy(&value, out + i * 4, 4);
      value -= 1.0f;
      std::memcpy(out + i * 4, &value, 4);
    }
  }

  // Rows of the transposed tensor: elements [begin, begin + count) of all rows of the runs.
  static void read_columns(const Assembly& assembly, int64_t begin, int64_t count, std::byte* out) {
    constexpr int64_t kTileRows = 16;
    const int64_t element = dtype_bytes(assembly.tensor.dtype);
    std::vector<std::byte> tile(static_cast<size_t>(kTileRows * count * element));
    int64_t column = 0;  // of the result: row of the runs
    visit_runs(assembly, 0, assembly.rows, [&](const Run& run, int64_t first, int64_t rows) {
      for (int64_t row = first; row < first + rows;) {
        const int64_t tile_rows = std::min(kTileRows, first + rows - row);
        for (int64_t i = 0; i < tile_rows; ++i) {
          read_elements(assembly, run, source_row(run, row + i) * assembly.row_length + begin,
                        count, tile.data() + i * count * element);
        }
        for (int64_t c = 0; c < count; ++c) {
          std::byte* to = out + (c * assembly.rows + column) * element;
          for (int64_t i = 0; i < tile_rows; ++i) {
            std::memcpy(to + i * element, tile.data() + (i * count + c) * element,
                        static_cast<size_t>(element));
          }
        }
        row += tile_rows;
        column += tile_rows;
      }
    });
  }

  GgufFile file_;
  std::vector<Assembly> assemblies_;
  std::vector<CheckpointTensor> tensors_;
};

// "attn_q.weight" is the stem "attn_q" and the suffix ".weight".
struct SplitName {
  std::string_view stem;
  std::string_view suffix;
};
std::optional<SplitName> split_suffix(std::string_view name) {
  for (const std::string_view suffix : {".weight", ".bias"}) {
    if (name.ends_with(suffix))
      return SplitName{name.substr(0, name.size() - suffix.size()), suffix};
  }
  return {};
}

// A number as it stands in names: decimal, without leading zeros.
std::optional<int64_t> parse_index(std::string_view text) {
  const bool is_plain =
      !text.empty() && text.size() < 10 && (text == "0" || text[0] != '0') &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  return is_plain ? parse_int64(text) : std::nullopt;
}

// Finds out what each tensor of the file is, and how those of the other form are put together.
class Assembler {
 public:
  Assembler(const GgufFile& file, const GgufModel& model)
      : file_(file), model_(model), names_(gguf_names(model)) {}

  Result<std::vector<Assembly>> run() {
    for (const GgufTensor& tensor : file_.tensors()) MLC_RETURN_IF_ERROR(place(tensor));
    for (const auto& [key, parts] : qkv_) {
      MLC_RETURN_IF_ERROR(place_qkv(key.first, key.second, parts));
    }
    std::sort(assemblies_.begin(), assemblies_.end(),
              [](const Assembly& a, const Assembly& b) { return a.tensor.name < b.tensor.name; });
    for (size_t i = 1; i < assemblies_.size(); ++i) {
      if (assemblies_[i].tensor.name == assemblies_[i - 1].tensor.name) {
        return user_error(where(*assemblies_[i].runs[0].source),
                          cat("stands for ", assemblies_[i].tensor.name, ", and so does ",
                              assemblies_[i - 1].runs[0].source->name),
                          "one of the two");
      }
    }
    return std::move(assemblies_);
  }

 private:
  enum Part { kQ, kK, kV, kQkv };
  using QkvParts = std::array<const GgufTensor*, 4>;

  std::string where(const GgufTensor& tensor) const { return file_.tensor_where(tensor.name); }
  Error wrong_shape(const GgufTensor& tensor, std::string expected) const {
    return user_error(where(tensor), cat("has the shape ", shape_text(tensor.shape)),
                      std::move(expected));
  }
  Error unknown(const GgufTensor& tensor) const {
    return user_error(where(tensor),
                      cat("is unknown in models of the architecture ", file_.architecture()), "",
                      "it would change the model, so it is not left out; this variant of the "
                      "architecture is not supported");
  }

  Result<void> place(const GgufTensor& tensor) {
    const std::optional<SplitName> name = split_suffix(tensor.name);
    if (!name.has_value()) return unknown(tensor);
    constexpr std::string_view kLayer = "blk.";
    if (!name->stem.starts_with(kLayer)) {
      if (is_ignored_tensor(name->stem)) return {};
      return place_named(tensor, names_.top, *name, "");
    }
    const std::string_view rest = name->stem.substr(kLayer.size());
    const size_t dot = rest.find('.');
    const std::optional<int64_t> layer = parse_index(rest.substr(0, dot));
    if (dot == std::string_view::npos || !layer.has_value()) return unknown(tensor);
    if (*layer >= model_.layers) {
      return user_error(where(tensor), cat("belongs to layer ", *layer),
                        cat("a layer below ", model_.layers, ", the block_count"));
    }
    const SplitName in_layer{rest.substr(dot + 1), name->suffix};
    if (is_ignored_tensor(in_layer.stem)) return {};
    constexpr std::string_view kQkvStems[] = {"attn_q", "attn_k", "attn_v", "attn_qkv"};
    for (size_t part = 0; part < std::size(kQkvStems); ++part) {
      if (in_layer.stem != kQkvStems[part]) continue;
      qkv_[{*layer, in_layer.suffix}][part] = &tensor;
      return {};
    }
    return place_named(tensor, names_.layer, in_layer, cat(names_.layer_prefix, *layer, "."));
  }

  Result<void> place_named(const GgufTensor& tensor, std::span<const GgufTensorName> names,
                           const SplitName& name, const std::string& prefix) {
    for (const GgufTensorName& known : names) {
      if (known.gguf != name.stem) continue;
      const std::string hf = cat(prefix, known.hf, name.suffix);
      switch (known.role) {
        case GgufTensorRole::kNorm:
          return place_norm(tensor, hf);
        case GgufTensorRole::kMatrix:
          return place_whole(tensor, hf, name.suffix, false);
        case GgufTensorRole::kConv1d:
          return place_whole(tensor, hf, name.suffix, true);
        default:
          return place_experts(tensor, known.role, name.suffix, prefix);
      }
    }
    return place_single_expert(tensor, name, prefix);
  }

  // Rows and row length of a matrix, or of a vector seen as rows of one element.
  Result<void> measure(const GgufTensor& tensor, bool is_vector, int64_t& rows,
                       int64_t& row_length) const {
    if (tensor.data.empty()) return wrong_shape(tensor, "at least one element");
    if (tensor.shape.size() > (is_vector ? 1u : 2u)) {
      return wrong_shape(tensor, is_vector ? "one dimension" : "two dimensions");
    }
    rows = is_vector ? tensor.shape[0] : tensor.shape.size() == 2 ? tensor.shape[0] : 1;
    row_length = is_vector ? 1 : tensor.shape.back();
    return {};
  }

  // Names the assembly, sets its shape and dtype, and takes it up. The runs must have sources of
  // one row length.
  void add(std::string name, std::vector<Run> runs, int64_t row_length, bool is_vector,
           bool transposed, bool minus_one = false) {
    Assembly assembly{.tensor = {},
                      .runs = {},
                      .row_length = row_length,
                      .transposed = transposed,
                      .minus_one = minus_one};
    assembly.tensor.name = std::move(name);
    assembly.tensor.dtype = minus_one ? DType::kF32 : stored_dtype(runs[0].source->type);
    assembly.tensor.file = runs[0].source->part;
    for (Run& run : runs) {
      run.begin = assembly.rows;
      assembly.rows += run.rows;
      if (stored_dtype(run.source->type) != assembly.tensor.dtype) {
        assembly.tensor.dtype = DType::kF32;
      }
    }
    assembly.runs = std::move(runs);
    if (is_vector) {
      assembly.tensor.shape = {assembly.rows};
    } else if (transposed) {
      assembly.tensor.shape = {row_length, assembly.rows};
    } else {
      assembly.tensor.shape = {assembly.rows, row_length};
    }
    assemblies_.push_back(std::move(assembly));
  }

  Result<void> place_norm(const GgufTensor& tensor, const std::string& hf) {
    int64_t rows, row_length;
    MLC_RETURN_IF_ERROR(measure(tensor, true, rows, row_length));
    add(hf, {{&tensor, 0, rows}}, row_length, true, false, names_.norms_hold_one_more);
    return {};
  }

  Result<void> place_whole(const GgufTensor& tensor, const std::string& hf, std::string_view suffix,
                           bool is_conv1d) {
    // A copy of the embedding, which such a model takes for its head anyway.
    if (&tensor == file_.find_tensor("output.weight") &&
        !has_own_head(file_, model_.architecture)) {
      return {};
    }
    const bool is_vector = suffix == ".bias";
    int64_t rows, row_length;
    MLC_RETURN_IF_ERROR(measure(tensor, is_vector, rows, row_length));
    add(hf, {{&tensor, 0, rows}}, row_length, is_vector, is_conv1d && !is_vector);
    return {};
  }

  void add_expert(const GgufTensor& tensor, int64_t begin, int64_t rows, std::string_view expert,
                  int64_t number, const std::string& prefix) {
    add(cat(prefix, names_.expert_prefix, number, ".", expert, ".weight"), {{&tensor, begin, rows}},
        tensor.shape.back(), false, false);
  }

  Result<void> place_experts(const GgufTensor& tensor, GgufTensorRole role, std::string_view suffix,
                             const std::string& prefix) {
    if (suffix != ".weight") return unknown(tensor);
    std::vector<int64_t> shape = tensor.shape;  // with the ones in front that were left out
    shape.insert(shape.begin(), 3 - std::min<size_t>(shape.size(), 3), 1);
    const bool is_double = role == GgufTensorRole::kGateUpExperts;
    if (tensor.data.empty() || shape.size() != 3 || shape[0] != model_.experts ||
        (is_double && shape[1] % 2 != 0)) {
      return wrong_shape(tensor,
                         cat("[", model_.experts, ", rows, columns]: one matrix for each of ",
                             "the experts", is_double ? ", with an even number of rows" : ""));
    }
    const int64_t rows = is_double ? shape[1] / 2 : shape[1];
    for (int64_t i = 0; i < model_.experts; ++i) {
      const int64_t begin = i * shape[1];
      if (role == GgufTensorRole::kGateExperts || is_double) {
        add_expert(tensor, begin, rows, names_.gate_expert, i, prefix);
      }
      if (role == GgufTensorRole::kUpExperts || is_double) {
        add_expert(tensor, begin + shape[1] - rows, rows, names_.up_expert, i, prefix);
      }
      if (role == GgufTensorRole::kDownExperts) {
        add_expert(tensor, begin, rows, names_.down_expert, i, prefix);
      }
    }
    return {};
  }

  // "ffn_gate.3" in the oldest files of mixtral.
  Result<void> place_single_expert(const GgufTensor& tensor, const SplitName& name,
                                   const std::string& prefix) {
    const size_t dot = name.stem.find('.');
    if (model_.experts == 0 || dot == std::string_view::npos || name.suffix != ".weight") {
      return unknown(tensor);
    }
    const std::optional<int64_t> number = parse_index(name.stem.substr(dot + 1));
    const std::string_view stem = name.stem.substr(0, dot);
    const std::string_view expert = stem == "ffn_gate"   ? names_.gate_expert
                                    : stem == "ffn_up"   ? names_.up_expert
                                    : stem == "ffn_down" ? names_.down_expert
                                                         : std::string_view();
    if (expert.empty() || !number.has_value() || *number >= model_.experts) return unknown(tensor);
    int64_t rows, row_length;
    MLC_RETURN_IF_ERROR(measure(tensor, false, rows, row_length));
    add_expert(tensor, 0, rows, expert, *number, prefix);
    return {};
  }

  // The rows of q, k or v: a tensor of its own or a part of the joined one.
  struct Heads {
    const GgufTensor* source = nullptr;
    int64_t begin = 0;
    int64_t count = 0;
    int64_t head_rows = 0;
    bool interleaved = false;

    Run head(int64_t number) const {
      return {source, begin + number * head_rows, head_rows, interleaved};
    }
    std::vector<Run> all() const {
      if (!interleaved) return {{source, begin, count * head_rows}};
      std::vector<Run> runs;
      for (int64_t i = 0; i < count; ++i) runs.push_back(head(i));
      return runs;
    }
  };

  Result<void> place_qkv(int64_t layer, std::string_view suffix, const QkvParts& parts) {
    const bool is_vector = suffix == ".bias";
    const std::string prefix = cat(names_.layer_prefix, layer, ".");
    std::array<Heads, 3> heads;
    int64_t row_length = 0;
    if (parts[kQkv] != nullptr) {
      MLC_RETURN_IF_ERROR(split_joined(parts, is_vector, heads, row_length));
    } else {
      for (int part = kQ; part <= kV; ++part) {
        const GgufTensor* tensor = parts[static_cast<size_t>(part)];
        if (tensor == nullptr) continue;
        int64_t rows, own_length;
        MLC_RETURN_IF_ERROR(measure(*tensor, is_vector, rows, own_length));
        if (row_length != 0 && own_length != row_length) {
          return wrong_shape(*tensor, cat("rows of ", row_length, ", as the others of q, k and v"));
        }
        row_length = own_length;
        MLC_ASSIGN_OR_RETURN(heads[static_cast<size_t>(part)],
                             measure_heads(*tensor, 0, rows, part));
      }
    }
    if (names_.qkv_form == GgufQkvForm::kSeparate) {
      const std::string_view hf[] = {names_.q, names_.k, names_.v};
      for (size_t part = 0; part < 3; ++part) {
        if (heads[part].source == nullptr) continue;
        add(cat(prefix, hf[part], suffix), heads[part].all(), row_length, is_vector, false);
      }
      return {};
    }
    for (size_t part = 0; part < 3; ++part) {
      if (heads[part].source != nullptr) continue;
      constexpr std::string_view kLetters = "qkv";
      return user_error(file_.path(),
                        cat("lacks the tensor blk.", layer, ".attn_", kLetters[part], suffix),
                        cat("q, k and v, or all of them in attn_qkv"));
    }
    MLC_ASSIGN_OR_RETURN(std::vector<Run> runs, joined_runs(heads, layer));
    add(cat(prefix, names_.qkv, suffix), std::move(runs), row_length, is_vector,
        names_.qkv_is_conv1d && !is_vector);
    return {};
  }

  Result<Heads> measure_heads(const GgufTensor& tensor, int64_t begin, int64_t rows,
                              int part) const {
    const int64_t count = part == kQ ? model_.heads : model_.kv_heads;
    const bool interleaved = names_.interleaved && part != kV;
    if (rows % count != 0 || (interleaved && rows / count % 2 != 0)) {
      return wrong_shape(tensor, cat("as many rows in each of the ", count, " heads",
                                     interleaved ? ", an even number" : ""));
    }
    return Heads{&tensor, begin, count, rows / count, interleaved};
  }

  Result<void> split_joined(const QkvParts& parts, bool is_vector, std::array<Heads, 3>& heads,
                            int64_t& row_length) const {
    const GgufTensor& tensor = *parts[kQkv];
    for (const GgufTensor* other : {parts[kQ], parts[kK], parts[kV]}) {
      if (other == nullptr) continue;
      return user_error(where(tensor), cat("holds what ", other->name, " holds too"),
                        "either q, k and v or all of them in attn_qkv");
    }
    int64_t rows;
    MLC_RETURN_IF_ERROR(measure(tensor, is_vector, rows, row_length));
    const int64_t all_heads = model_.heads + 2 * model_.kv_heads;
    if (rows % all_heads != 0) {
      return wrong_shape(tensor, cat("as many rows in each of the ", model_.heads,
                                     " heads of q and ", model_.kv_heads, " of k and of v"));
    }
    const int64_t head_rows = rows / all_heads;
    int64_t begin = 0;
    for (int part = kQ; part <= kV; ++part) {
      const int64_t part_rows = head_rows * (part == kQ ? model_.heads : model_.kv_heads);
      MLC_ASSIGN_OR_RETURN(heads[static_cast<size_t>(part)],
                           measure_heads(tensor, begin, part_rows, part));
      begin += part_rows;
    }
    return {};
  }

  Result<std::vector<Run>> joined_runs(const std::array<Heads, 3>& heads, int64_t layer) const {
    std::vector<Run> runs;
    const auto& [q, k, v] = heads;
    switch (names_.qkv_form) {
      case GgufQkvForm::kSeparate:
        break;
      case GgufQkvForm::kRows:
        for (const Heads& part : heads) {
          for (const Run& run : part.all()) runs.push_back(run);
        }
        break;
      case GgufQkvForm::kHeads:
        if (q.count != k.count) {
          return user_error(file_.path(), cat("has ", q.count, " heads and ", k.count, " kv heads"),
                            cat("as many of both in the architecture ", file_.architecture()));
        }
        [[fallthrough]];
      case GgufQkvForm::kGroups: {
        if (q.head_rows != k.head_rows || q.head_rows != v.head_rows) {
          return user_error(cat(file_.path(), ": layer ", layer),
                            cat("has heads of ", q.head_rows, ", ", k.head_rows, " and ",
                                v.head_rows, " rows in q, k and v"),
                            "heads of one size");
        }
        const int64_t group = q.count / k.count;
        for (int64_t i = 0; i < k.count; ++i) {
          for (int64_t j = 0; j < group; ++j) runs.push_back(q.head(i * group + j));
          runs.push_back(k.head(i));
          runs.push_back(v.head(i));
        }
        break;
      }
    }
    return runs;
  }

  const GgufFile& file_;
  const GgufModel model_;
  const GgufNames names_;
  std::vector<Assembly> assemblies_;
  std::map<std::pair<int64_t, std::string_view>, QkvParts> qkv_;  // by layer and suffix
};

}  // namespace

Result<std::unique_ptr<Checkpoint>> make_gguf_checkpoint(GgufFile file) {
  MLC_ASSIGN_OR_RETURN(const GgufModel model, gguf_model(file));
  MLC_ASSIGN_OR_RETURN(std::vector<Assembly> assemblies, Assembler(file, model).run());
  // Moving the file leaves its tensors, to which the runs point, where they are.
  return std::unique_ptr<Checkpoint>(
      std::make_unique<GgufCheckpoint>(std::move(file), std::move(assemblies)));
}

Result<std::unique_ptr<Checkpoint>> open_gguf_checkpoint(const std::string& path) {
  MLC_ASSIGN_OR_RETURN(GgufFile file, GgufFile::open(path));
  return make_gguf_checkpoint(std::move(file));
}

}  // namespace mlc::formats
