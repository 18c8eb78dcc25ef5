/* SPDX-License-Identifier: Apache-2.0
 * The call interface of a compiled model library, in plain C: what the compiler writes and the
 * runtime reads. Every field has 64 bits on every host. docs/library_format.md describes the plan
 * and the metadata. */
#ifndef MLC_FORMATS_MODEL_LIBRARY_H_
#define MLC_FORMATS_MODEL_LIBRARY_H_

#include <stdint.h>

/* A library exports one symbol of type MlcModelLibrary, with a prefix where the user asked for one.
 */
#define MLC_MODEL_LIBRARY_SYMBOL "mlc_llm_model_library"
#define MLC_MODEL_LIBRARY_MAGIC UINT64_C(0x31304c444d434c4d) /* "MLCMDL01" */
/* Counts up with every change of this file, of the plan's encoding or of a table that kernels read.
 */
#define MLC_MODEL_LIBRARY_ABI 2

/* What a kernel gets: one slot per parameter in order, the address of a buffer or the value of a
 * size; and scratch memory of the calling thread, 64-byte aligned, of the size that the plan tells.
 */
typedef struct {
  uint64_t slots; /* const uint64_t* */
  uint64_t scratch;
} MlcKernelArgs;

/* Runs tasks [task_begin, task_end). Tasks of one kernel may run on several threads at once. */
typedef void (*MlcKernel)(const MlcKernelArgs* args, int64_t task_begin, int64_t task_end);

/* Code for one level of CPU features (bits: src/target/cpu_features.def); its plan may differ from
 * the others'. */
typedef struct {
  uint64_t required_features;
  uint64_t plan; /* const uint8_t* */
  uint64_t plan_bytes;
  uint64_t kernels; /* const MlcKernel* */
  uint64_t num_kernels;
} MlcLibraryVariant;

typedef struct {
  uint64_t magic;
  uint64_t abi_version;
  uint64_t metadata; /* const char*: JSON, not terminated */
  uint64_t metadata_bytes;
  uint64_t variants; /* const MlcLibraryVariant*, best level first */
  uint64_t num_variants;
} MlcModelLibrary;

#endif /* MLC_FORMATS_MODEL_LIBRARY_H_ */
