# SPDX-License-Identifier: Apache-2.0
"""What `create` of MLCEngine and AsyncMLCEngine gives: OpenAI's objects, as dataclasses. Source: OpenAI's API reference, objects
chat.completion, chat.completion.chunk, text_completion and embedding."""
from __future__ import annotations

import dataclasses
import json
from typing import Any, Optional, Union


class _Object:
    """Conversions that all of them have."""

    def model_dump(self) -> dict[str, Any]:
        """As dicts and lists."""
        values: dict[str, Any] = dataclasses.asdict(self)  # type: ignore[call-overload]
        return values

    def model_dump_json(self) -> str:
        """As JSON."""
        return json.dumps(self.model_dump(), ensure_ascii=False)


@dataclasses.dataclass
class CompletionUsage(_Object):
    """Tokens of a request; `extra` has times in seconds and rates in tokens a second."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    extra: Optional[dict[str, float]] = None


@dataclasses.dataclass
class TopLogprob(_Object):
    """One of the most probable tokens in a place. bytes: of its text, for a token that is part of a character."""

    token: str
    logprob: float
    bytes: list[int]


@dataclasses.dataclass
class ChatCompletionTokenLogprob(_Object):
    """A token that was sampled. logprob: of the model's own distribution (docs/grammar.md, "Sampling"); -9999 where it rules the token
    out."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


@dataclasses.dataclass
class ChoiceLogprobs(_Object):
    """Of all tokens that were sampled, also one that ended the answer."""

    content: list[ChatCompletionTokenLogprob]


@dataclasses.dataclass
class CompletionLogprobs(_Object):
    """The same for a prompt, in OpenAI's older form. top_logprobs: for each token the most probable ones and itself, where their texts
    differ. text_offset: where it begins in the choice's text, in characters, behind an echo."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


@dataclasses.dataclass
class Function(_Object):
    """What is called. arguments: a JSON object's text."""

    name: str
    arguments: str


@dataclasses.dataclass
class ChatCompletionMessageToolCall(_Object):
    id: str
    function: Function
    type: str = "function"


@dataclasses.dataclass
class ChatCompletionMessage(_Object):
    """content: None where the answer is calls and nothing else."""

    content: Optional[str]
    role: str = "assistant"
    tool_calls: Optional[list[ChatCompletionMessageToolCall]] = None


@dataclasses.dataclass
class Choice(_Object):
    """One of the `n` answers. finish_reason: stop, tool_calls, length or abort."""

    index: int
    message: ChatCompletionMessage
    finish_reason: Optional[str]
    logprobs: Optional[ChoiceLogprobs] = None


@dataclasses.dataclass
class ChatCompletion(_Object):
    id: str
    choices: list[Choice]
    created: int
    model: str
    usage: CompletionUsage
    object: str = "chat.completion"
    system_fingerprint: str = ""


@dataclasses.dataclass
class ChoiceDeltaToolCall(_Object):
    """A call, whole. index: of the call in its answer."""

    index: int
    id: str
    function: Function
    type: str = "function"


@dataclasses.dataclass
class ChoiceDelta(_Object):
    content: str
    role: str = "assistant"
    tool_calls: Optional[list[ChoiceDeltaToolCall]] = None


@dataclasses.dataclass
class ChunkChoice(_Object):
    index: int
    delta: ChoiceDelta
    finish_reason: Optional[str] = None
    logprobs: Optional[ChoiceLogprobs] = None


@dataclasses.dataclass
class ChatCompletionChunk(_Object):
    """A piece of a stream. With stream_options={"include_usage": True} the last one has no choices and the usage."""

    id: str
    choices: list[ChunkChoice]
    created: int
    model: str
    usage: Optional[CompletionUsage] = None
    object: str = "chat.completion.chunk"
    system_fingerprint: str = ""


@dataclasses.dataclass
class CompletionChoice(_Object):
    index: int
    text: str
    finish_reason: Optional[str] = None
    logprobs: Optional[CompletionLogprobs] = None


@dataclasses.dataclass
class Completion(_Object):
    """An answer to a prompt, and a piece of one in a stream."""

    id: str
    choices: list[CompletionChoice]
    created: int
    model: str
    usage: Optional[CompletionUsage] = None
    object: str = "text_completion"


@dataclasses.dataclass
class Embedding(_Object):
    """The vector of an input; with encoding_format "base64" a text: float32, little-endian."""

    embedding: Union[list[float], str]
    index: int
    object: str = "embedding"


@dataclasses.dataclass
class EmbeddingUsage(_Object):
    prompt_tokens: int = 0
    total_tokens: int = 0


@dataclasses.dataclass
class CreateEmbeddingResponse(_Object):
    """One embedding for each input, in their order."""

    data: list[Embedding]
    model: str
    usage: EmbeddingUsage
    object: str = "list"
