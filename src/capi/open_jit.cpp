// SPDX-License-Identifier: Apache-2.0
// Opens models where the compiler is there: the one file of this folder that calls it, and that
// catches what it throws.
#include <exception>

#include "capi/open_options.h"
#include "jit/open_model.h"
#include "support/throw.h"

namespace mlc::capi {

Result<engine::LoadedModel> open_model(OpenOptions options) {
  try {
    return jit::open_model({.model = std::move(options.model),
                            .library = std::move(options.library),
                            .device = std::move(options.device),
                            .opt = std::move(options.opt)});
  } catch (const UserError& error) {
    return error.error();
  } catch (const std::bad_alloc&) {
    return user_error(options.model.model, "needs more memory than there is");
  } catch (const std::exception& error) {
    Error internal = user_error("internal error", error.what());
    internal.kind = ErrorKind::kInternal;
    return internal;
  }
}

}  // namespace mlc::capi
