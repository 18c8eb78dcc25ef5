# SPDX-License-Identifier: Apache-2.0
"""Embeddings of texts: which tokens an input has, and OpenAI's objects (spec: rest_api.md section 5, decoders)."""
from __future__ import annotations

import array
import base64
import json
import math
import sys
from typing import Any, Optional, Sequence, Union

from mlc_llm import _native
from mlc_llm._engine_thread import EngineThread
from mlc_llm._errors import MLCUserError
from mlc_llm.protocol import CreateEmbeddingResponse, Embedding, EmbeddingUsage

Input = Union[str, Sequence[int]]
Inputs = Union[Input, Sequence[Input]]


def _is_input(value: Any) -> bool:
    return isinstance(value, str) or (not isinstance(value, (bytes, dict)) and isinstance(value, Sequence) and bool(value)
                                      and all(isinstance(id, int) and not isinstance(id, bool) for id in value))


def inputs_of(input: Any) -> list[Input]:
    """The inputs: a text, token ids, or a list of either."""
    inputs = [input] if _is_input(input) else input
    if not isinstance(inputs, Sequence) or isinstance(inputs, (bytes, dict)) or not all(_is_input(one) for one in inputs):
        raise MLCUserError("error: input: is of another form\n  expected a text, a list of token ids, or a list of texts or of such lists")
    if not inputs:
        raise MLCUserError("error: input: is empty\n  expected at least one text")
    for number, one in enumerate(inputs):
        if not one:
            raise MLCUserError(f"error: input: text {number} is empty\n  expected at least one character")
    return list(inputs)


def tokens_of(engine: _native.Engine, input: Input) -> list[int]:
    """The tokens that are embedded: with what the tokenizer puts around a text, and an eos behind it, since the vector is that of the last
    token. What is longer than the context loses its end, not its eos."""
    info = json.loads(engine.info())
    eos = info["config"].get("eos_token_id")
    ends: list[int] = eos if isinstance(eos, list) else [] if eos is None else [eos]
    ids = engine.encode(input, True) if isinstance(input, str) else list(input)
    if ids and ids[-1] in ends:
        ends = ids[-1:]
        ids = ids[:-1]
    return ids[:info["context_window_size"] - len(ends[:1])] + ends[:1]


def create(thread: EngineThread, name: str, input: Any, encoding_format: str, dimensions: Optional[int]) -> CreateEmbeddingResponse:
    """What `embeddings.create` gives. Each input is a call of its own, so that running requests go on in between."""
    if encoding_format not in ("float", "base64"):
        raise MLCUserError(f"error: encoding_format: is {encoding_format}\n  expected float or base64")
    size = thread.call(lambda engine: engine.hidden_size())
    if dimensions is not None and (isinstance(dimensions, bool) or not isinstance(dimensions, int) or not 1 <= dimensions <= size):
        raise MLCUserError(f"error: dimensions: is {dimensions}\n  expected a number from 1 to {size}, the model's")
    data: list[Embedding] = []
    tokens = 0
    for one in inputs_of(input):
        ids = thread.call(lambda engine: tokens_of(engine, one))
        view = thread.call(lambda engine: engine.vectors(ids, _native.EMBEDDING))
        vector: list[float] = view.tolist()[0]
        if dimensions is not None:
            vector = vector[:dimensions]
            length = math.sqrt(sum(value * value for value in vector))
            vector = [value / length for value in vector] if length > 0 else vector
        data.append(Embedding(vector if encoding_format == "float" else _base64(vector), len(data)))
        tokens += len(ids)
    return CreateEmbeddingResponse(data, name, EmbeddingUsage(tokens, tokens))


def _base64(vector: list[float]) -> str:
    values = array.array("f", vector)
    if sys.byteorder == "big":
        values.byteswap()
    return base64.b64encode(values.tobytes()).decode()
