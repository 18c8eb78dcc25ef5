/* SPDX-License-Identifier: Apache-2.0 */
/* The header is C, and enough for a program in C: answers a prompt with it. */
#include <stdio.h>
#include <string.h>

#include "mlc_llm/mlc_llm.h"

/* The outputs of a request joined as they come, [bytes]. Gives the status of the call that failed, else MLC_OK. */
MlcStatus answer_in_c(const char* model, const char* request_json, char* outputs, size_t bytes) {
  MlcEngine* engine = NULL;
  int64_t request = 0;
  int32_t more = 1;
  const char* json = NULL;
  size_t used = 0;
  MlcStatus status = mlc_engine_open(model, NULL, "{\"threads\": 1}", &engine);
  if (status == MLC_OK) status = mlc_engine_add(engine, request_json, &request);
  outputs[0] = '\0';
  while (status == MLC_OK && more) {
    status = mlc_engine_step(engine, &more);
    if (status == MLC_OK) status = mlc_engine_take_outputs(engine, &json);
    if (status == MLC_OK && used + strlen(json) + 1 < bytes)
      used += (size_t)snprintf(outputs + used, bytes - used, "%s", json);
  }
  mlc_engine_close(engine);
  return status;
}
