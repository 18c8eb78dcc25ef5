# SPDX-License-Identifier: Apache-2.0
"""What `create` of MLCEngine and AsyncMLCEngine gives: OpenAI's objects, as dataclasses. Source: OpenAI's API reference, objects
chat.completion, chat.completion.chunk and text_completion."""
from __future__ import annotations

import dataclasses
import json
from typing import Any, Optional


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
class ChatCompletionMessage(_Object):
    content: str
    role: str = "assistant"


@dataclasses.dataclass
class Choice(_Object):
    """One of the `n` answers. finish_reason: stop, length or abort."""

    index: int
    message: ChatCompletionMessage
    finish_reason: Optional[str]


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
class ChoiceDelta(_Object):
    content: str
    role: str = "assistant"


@dataclasses.dataclass
class ChunkChoice(_Object):
    index: int
    delta: ChoiceDelta
    finish_reason: Optional[str] = None


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


@dataclasses.dataclass
class Completion(_Object):
    """An answer to a prompt, and a piece of one in a stream."""

    id: str
    choices: list[CompletionChoice]
    created: int
    model: str
    usage: Optional[CompletionUsage] = None
    object: str = "text_completion"
