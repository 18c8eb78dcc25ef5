// SPDX-License-Identifier: Apache-2.0
// What one language of the C family calls things. printer.cpp knows the structure of kernels, a
// dialect the words; what is written alike in most of them has C's spelling here.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "codegen/text/printer.h"

namespace mlc::codegen {

class Dialect {
 public:
  // A function that kernels need and the language lacks. Printed where a kernel uses its name.
  struct Helper {
    std::string_view name;
    std::string_view text;
  };

  virtual ~Dialect() = default;

  virtual std::string_view prologue() const = 0;
  virtual std::span<const Helper> helpers() const = 0;
  // Words that no variable may be called: keywords, types, and the functions that are named below.
  virtual bool is_reserved(std::string_view name) const = 0;

  // The type of a value, and of an element in memory. f16 and bf16 are for memory only
  // (kernel/verifier.h): a language without them holds their bits.
  virtual std::string_view type(DType dtype) const = 0;
  // The function of a call such as fma or exp; "" where the language has none. A text that ends in
  // ")" is a cast.
  virtual std::string_view function(kernel::ExprKind kind, DType dtype) const = 0;
  virtual std::string conversion(DType from, DType to) const = 0;
  virtual std::string bit_conversion(DType from, DType to) const = 0;

  // All up to the first statement.
  virtual std::string kernel_head(std::string_view symbol,
                                  std::span<const TextParameter> parameters,
                                  int64_t threads) const = 0;
  // The declaration of a buffer that lies in a binding which it shares with others.
  virtual std::string view(const TextParameter& offset, std::string_view name,
                           std::string_view binding) const = 0;
  virtual std::string shared_array(DType dtype, std::string_view name, int64_t size) const = 0;
  virtual std::string_view block_number() const = 0;   // of a block in the grid
  virtual std::string_view thread_number() const = 0;  // of a thread in its block
  virtual std::string_view barrier() const = 0;

  // A literal of the value's type; `typed` where it must not take the type of what is around it.
  virtual std::string constant(const kernel::ExprNode& node, bool typed) const;
  virtual std::string value(DType dtype, std::string_view name, std::string_view text) const;
  virtual std::string array(DType dtype, std::string_view name, int64_t size) const;
  virtual std::string conditional(std::string_view condition, std::string_view then,
                                  std::string_view otherwise) const;
  // The head of a loop from 0 to end - 1, with its "{". `end_name` is free for the loop's use.
  virtual std::string loop(std::string_view name, std::string_view end,
                           std::string_view end_name) const;
};

// OpenCL C 1.2 without extensions: f16 goes through vload_half and vstore_half.
const Dialect& opencl_dialect();

}  // namespace mlc::codegen
