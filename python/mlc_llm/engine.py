# SPDX-License-Identifier: Apache-2.0
"""MLCEngine and AsyncMLCEngine: OpenAI's chat.completions.create and completions.create, on this machine."""
from __future__ import annotations

import asyncio
import codecs
import dataclasses
import json
import time
import uuid
from typing import TYPE_CHECKING, Any, AsyncIterator, Generic, Iterator, Literal, Optional, Sequence, TypeVar, Union, overload

from mlc_llm import _embeddings, _native
from mlc_llm._engine_thread import EngineThread, Output, answer_count
from mlc_llm._errors import MLCUserError, raise_error
from mlc_llm._model_path import find_library, find_model
from mlc_llm.protocol import (ChatCompletion, ChatCompletionChunk, ChatCompletionMessage, ChatCompletionMessageToolCall, ChatCompletionTokenLogprob,
                              Choice, ChoiceDelta, ChoiceDeltaToolCall,
                              ChoiceLogprobs, ChunkChoice, Completion, CompletionChoice, CompletionLogprobs, CompletionUsage, CreateEmbeddingResponse, Function,
                              TopLogprob)

if TYPE_CHECKING:
    import numpy
    import numpy.typing

# Sequences and tokens of the KV cache for each mode (spec: rest_api.md section 6).
_MODES: dict[str, dict[str, Any]] = {"local": {}, "interactive": {"max_num_sequence": 1}, "server": {"max_num_sequence": 32}}


@dataclasses.dataclass
class EngineConfig:
    """How much an engine takes on. None: as the mode has it.

    max_num_sequence: sequences that are computed together. max_total_sequence_length: tokens that the KV cache has room for.
    max_single_sequence_length: most tokens of one sequence, prompt and answer together. prefill_chunk_size: most tokens of a
    prompt in one step. prefix_cache_mode: "radix" keeps caches of finished sequences for prompts that begin alike, "disable"
    does not; prefix_cache_max_num_recycling_seqs says how many. opt: of a library that is compiled. threads: 0 for one each
    physical core. overrides: as of `mlc_llm chat`."""

    max_num_sequence: Optional[int] = None
    max_total_sequence_length: Optional[int] = None
    max_single_sequence_length: Optional[int] = None
    prefill_chunk_size: Optional[int] = None
    prefix_cache_mode: str = "radix"
    prefix_cache_max_num_recycling_seqs: Optional[int] = None
    opt: Optional[str] = None
    threads: int = 0
    overrides: str = ""


def _engine_options(mode: str, device: str, config: EngineConfig) -> dict[str, Any]:
    """The options of mlc_engine_open()."""
    if mode not in _MODES:
        raise MLCUserError(f"error: mode: is {mode}\n  expected one of {', '.join(_MODES)}")
    if config.prefix_cache_mode not in ("radix", "disable"):
        raise MLCUserError(f"error: prefix_cache_mode: is {config.prefix_cache_mode}\n  expected radix or disable")
    given = {"max_num_sequence": config.max_num_sequence, "max_total_sequence_length": config.max_total_sequence_length,
             "context_window_size": config.max_single_sequence_length, "prefill_chunk_size": config.prefill_chunk_size,
             "kept_sequences": 0 if config.prefix_cache_mode == "disable" else config.prefix_cache_max_num_recycling_seqs,
             "threads": config.threads, "device": device}
    return {**_MODES[mode], **{key: value for key, value in given.items() if value is not None}}


class _Request:
    """A call of create(): what goes to the engine, and what is around the answers."""

    def __init__(self, kind: str, model: str, request: dict[str, Any], request_id: Optional[str], echo: str = "", suffix: str = "") -> None:
        self.id = request_id or f"{'chatcmpl' if kind == 'chat' else 'cmpl'}-{uuid.uuid4().hex}"
        self.chat = kind == "chat"
        self.model = model
        self.created = int(time.time())
        self.echo, self.suffix = echo, suffix
        request = dict(request)
        options = request.pop("stream_options", None) or {}
        unknown = [key for key in options if key != "include_usage"]
        if unknown:
            raise MLCUserError(f"error: stream_options: unknown member {unknown[0]}\n  expected include_usage")
        self.include_usage = bool(options.get("include_usage"))
        debug = request.pop("debug_config", None) or {}
        unknown = [key for key in debug if key != "ignore_eos"]
        if unknown:
            raise MLCUserError(f"error: debug_config: {unknown[0]} is not implemented\n  expected ignore_eos")
        request.update(debug)
        request.pop("user", None)  # a name for the caller's own records
        seed = request.get("seed")
        if isinstance(seed, int) and seed >= 2**63:  # JSON has numbers with a sign; the same bits
            request["seed"] = seed - 2**64
        self.request = request


class _Answer:
    """One of the answers to a call, as it comes."""

    def __init__(self, request: _Request, index: int) -> None:
        self.request, self.index = request, index
        self.finish_reason: Optional[str] = None
        self.usage: Optional[dict[str, Any]] = None
        self._text = ""
        self._logprobs: list[dict[str, Any]] = []  # of tokens whose text may be held back still
        self._tool_calls: list[dict[str, Any]] = []
        self._begun = False
        self._offset = len(request.echo)  # of the next token in the text
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, output: Output) -> None:
        self._text += output["text"]
        self._logprobs += output.get("logprobs", [])
        self._tool_calls += output.get("tool_calls", [])
        self.finish_reason = output.get("finish_reason")
        self.usage = output.get("usage")

    def has_news(self) -> bool:
        """There is something to show."""
        return bool(self._text) or self.finish_reason is not None

    def choice(self) -> Choice:
        """What came since the last one, of a chat."""
        calls = [ChatCompletionMessageToolCall(call["id"], Function(**call["function"])) for call in self._tool_calls]
        text = self._take()
        message = ChatCompletionMessage(text if text or not calls else None, tool_calls=calls or None)
        return Choice(self.index, message, self.finish_reason, self._chat_logprobs())

    def chunk_choice(self) -> ChunkChoice:
        """The same as a piece of a stream."""
        calls = [ChoiceDeltaToolCall(index, call["id"], Function(**call["function"])) for index, call in enumerate(self._tool_calls)]
        return ChunkChoice(self.index, ChoiceDelta(self._take(), tool_calls=calls or None), self.finish_reason, self._chat_logprobs())

    def completion_choice(self) -> CompletionChoice:
        """What came since the last one, of a prompt."""
        logprobs = self._completion_logprobs()
        return CompletionChoice(self.index, self._take(), self.finish_reason, logprobs)

    def _take(self) -> str:
        text = ("" if self._begun else self.request.echo) + self._text + ("" if self.finish_reason is None else self.request.suffix)
        self._begun, self._text = True, ""
        return text

    def _chat_logprobs(self) -> Optional[ChoiceLogprobs]:
        taken, self._logprobs = self._logprobs, []
        content = [ChatCompletionTokenLogprob(token["token"], token["logprob"], token["bytes"], [TopLogprob(**top) for top in token["top_logprobs"]])
                   for token in taken]
        return ChoiceLogprobs(content) if content else None

    def _completion_logprobs(self) -> Optional[CompletionLogprobs]:
        taken, self._logprobs = self._logprobs, []
        offsets = []
        for place, token in enumerate(taken):
            offsets.append(self._offset)
            text = self._decoder.decode(bytes(token["bytes"]))
            # Some tokenizers strip the first blank of an answer.
            stripped = not self._begun and place == 0 and text.startswith(" ") and not self._text.startswith(" ")
            self._offset += len(text) - stripped
        logprobs = CompletionLogprobs([token["token"] for token in taken], [token["logprob"] for token in taken], [_by_text(token) for token in taken],
                                      offsets)
        return logprobs if taken else None


def _by_text(token: dict[str, Any]) -> dict[str, float]:
    """The most probable tokens in a place and the one that was sampled, falling. Where tokens have the same text the sampled one counts,
    else the most probable one."""
    values = {top["token"]: top["logprob"] for top in reversed(token["top_logprobs"])}
    values[token["token"]] = token["logprob"]
    return dict(sorted(values.items(), key=lambda item: -item[1]))


def _usage(usages: list[dict[str, Any]]) -> CompletionUsage:
    """Of all answers to one call; they share the prompt."""
    if not usages:
        return CompletionUsage()
    prompt, completion = usages[0]["prompt_tokens"], sum(u["completion_tokens"] for u in usages)
    first = usages[0]
    extra = {"cached_tokens": first["cached_tokens"], "ttft_s": first["waiting_seconds"] + first["prefill_seconds"],
             "prefill_seconds": first["prefill_seconds"], "decode_seconds": first["decode_seconds"]}
    return CompletionUsage(prompt, completion, prompt + completion, extra)


class _Collector:
    """Gathers the outputs of a call and makes OpenAI's objects of them."""

    def __init__(self, request: _Request) -> None:
        self.request = request
        self.answers: dict[int, _Answer] = {}

    def add(self, output: Output) -> _Answer:
        """Takes an output; gives the answer that it belongs to."""
        index = output["index"]
        answer = self.answers.setdefault(index, _Answer(self.request, index))
        answer.add(output)
        return answer

    def chunk(self, output: Output) -> Optional[Union[ChatCompletionChunk, Completion]]:
        """The piece of the stream for an output; None where it has nothing to show."""
        answer = self.add(output)
        if not answer.has_news():
            return None
        request = self.request
        if request.chat:
            return ChatCompletionChunk(request.id, [answer.chunk_choice()], request.created, request.model)
        return Completion(request.id, [answer.completion_choice()], request.created, request.model)

    def last_chunk(self) -> Union[ChatCompletionChunk, Completion]:
        """The piece with the usage."""
        kind = ChatCompletionChunk if self.request.chat else Completion
        return kind(self.request.id, [], self.request.created, self.request.model, self._usage())

    def response(self) -> Union[ChatCompletion, Completion]:
        """All answers, whole."""
        request, answers = self.request, [self.answers[index] for index in sorted(self.answers)]
        if request.chat:
            return ChatCompletion(request.id, [answer.choice() for answer in answers], request.created, request.model, self._usage())
        return Completion(request.id, [answer.completion_choice() for answer in answers], request.created, request.model, self._usage())

    def _usage(self) -> CompletionUsage:
        answers = [self.answers[index] for index in sorted(self.answers)]
        return _usage([answer.usage for answer in answers if answer.usage is not None])


class Metrics:
    """Sums over all requests of an engine (docs/cli.md, chat /metrics). `metrics`: name to number, of those without labels."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.metrics: dict[str, float] = {}
        for line in text.splitlines():
            if line and not line.startswith("#") and "{" not in line:
                name, value = line.split(" ")
                self.metrics[name] = float(value)

    def prometheus_text(self) -> str:
        """In Prometheus's text form."""
        return self._text


class _EngineBase:
    def __init__(self, model: str, device: str = "auto", *, model_lib: Optional[str] = None, mode: str = "local",
                 engine_config: Optional[EngineConfig] = None, enable_tracing: bool = False) -> None:
        """Opens a model.

        model: folder with mlc-chat-config.json, weights and tokenizer. device: "auto" or "cpu". model_lib: what `mlc_llm compile`
        made; without it a library is compiled into the cache, which takes seconds. mode: "local" (4 sequences at a time),
        "interactive" (1) or "server" (32). Raises ModelNotFoundError, MLCUserError."""
        if enable_tracing:
            raise MLCUserError("error: enable_tracing: is not implemented\n  expected False")
        config = engine_config or EngineConfig()
        options = _engine_options(mode, device, config)
        self.model = find_model(model)
        overrides, opt = config.overrides, config.opt
        library = find_library(self.model, model_lib, device, overrides="" if model_lib else overrides, opt=None if model_lib else opt)
        if model_lib is not None:
            options.update(overrides=overrides, opt=opt)
        self._thread = EngineThread(self.model, library, options)
        self._running: dict[str, list[int]] = {}

    def abort(self, request_id: str) -> None:
        """Ends a request where it stands; its finish_reason is "abort". One that is over or unknown is ignored."""
        for id in self._running.get(request_id, []):
            self._thread.cancel(id)

    def metrics(self) -> Metrics:
        """Sums over all requests since the engine was opened."""
        return Metrics(self._thread.call(lambda engine: engine.metrics()))

    def info(self) -> dict[str, Any]:
        """Sizes and the chat config in force, as of mlc_engine_info() in mlc_llm.h."""
        info: dict[str, Any] = json.loads(self._thread.call(lambda engine: engine.info()))
        return info

    def encode(self, text: str, add_special: bool = False) -> list[int]:
        """Token ids of a text; add_special: with what the tokenizer puts around it (bos, eos …)."""
        return self._thread.call(lambda engine: engine.encode(text, add_special))

    def decode(self, ids: Sequence[int], skip_special: bool = False) -> str:
        """The text of token ids. Ids that no token has are left out."""
        return self._thread.call(lambda engine: engine.decode(list(ids), skip_special))

    def logits(self, prompt: Union[str, Sequence[int]], all_positions: bool = False) -> "numpy.typing.NDArray[numpy.float32]":
        """Logits after the last token of a text or of token ids, float32 [1, vocab_size]; with all_positions after each, [tokens,
        vocab_size]. The array is the memory that the model's results were put into, not a copy of it. Needs numpy.
        Raises MLCUserError: no tokens, ids that the model lacks, more than the context."""
        ids = self.encode(prompt) if isinstance(prompt, str) else [int(id) for id in prompt]
        return self._thread.call(lambda engine: engine.logits(ids, all_positions))

    def hidden_states(self, prompt: Union[str, Sequence[int]]) -> "numpy.typing.NDArray[numpy.float32]":
        """Hidden states behind the final norm, of each token of a text or of token ids: float32 [tokens, hidden_size]. As logits()."""
        ids = self.encode(prompt) if isinstance(prompt, str) else [int(id) for id in prompt]
        return _array(self._thread.call(lambda engine: engine.vectors(ids, _native.HIDDEN_STATES)))

    def embedding_array(self, input: Union[str, Sequence[int]]) -> "numpy.typing.NDArray[numpy.float32]":
        """The vector that embeddings.create() gives for one input: float32 [hidden_size]. The array is the memory that it was put into, not a
        copy of it. Needs numpy."""
        (one,) = _embeddings.inputs_of([input])
        ids = self._thread.call(lambda engine: _embeddings.tokens_of(engine, one))
        return _array(self._thread.call(lambda engine: engine.vectors(ids, _native.EMBEDDING)))[0]

    def terminate(self) -> None:
        """Ends all requests and gives the memory back. The engine is of no use afterwards."""
        self._thread.close()

    def _chat_request(self, messages: Sequence[dict[str, Any]], model: Optional[str], request_id: Optional[str],
                      extra_body: Optional[dict[str, Any]], options: dict[str, Any]) -> _Request:
        request = {**options, **(extra_body or {}), "messages": list(messages)}
        return _Request("chat", model or self.model, request, request_id)

    def _completion_request(self, prompt: Union[str, Sequence[int]], model: Optional[str], echo: bool, suffix: Optional[str], best_of: int,
                            request_id: Optional[str], extra_body: Optional[dict[str, Any]], options: dict[str, Any]) -> _Request:
        if best_of != 1:
            raise MLCUserError(f"error: best_of: is {best_of}, which is not implemented\n  expected 1")
        prompt = prompt if isinstance(prompt, str) else [int(id) for id in prompt]
        shown = "" if not echo else prompt if isinstance(prompt, str) else self.decode(prompt)
        request = {**options, **(extra_body or {}), "prompt": prompt}
        return _Request("completion", model or self.model, request, request_id, shown, suffix or "")


def _array(view: memoryview) -> "numpy.typing.NDArray[numpy.float32]":
    import numpy

    return numpy.asarray(view)


class MLCEngine(_EngineBase):
    """An engine for synchronous code. Any number of threads may call it: their requests share steps.

    >>> engine = MLCEngine("dist/SmolLM2-135M-Instruct-q4f16_1-MLC")
    >>> engine.chat.completions.create(messages=[{"role": "user", "content": "hi"}]).choices[0].message.content

    Ctrl-C during an answer ends that answer; the engine goes on."""

    def __init__(self, model: str, device: str = "auto", *, model_lib: Optional[str] = None, mode: str = "local",
                 engine_config: Optional[EngineConfig] = None, enable_tracing: bool = False) -> None:
        super().__init__(model, device, model_lib=model_lib, mode=mode, engine_config=engine_config, enable_tracing=enable_tracing)
        self.chat: Chat[ChatCompletions] = Chat(ChatCompletions(self))
        self.completions = Completions(self)
        self.embeddings = Embeddings(self)

    def _stream(self, request: _Request) -> Iterator[Any]:
        collector = _Collector(request)
        try:
            ids = self._running.setdefault(request.id, [])
            for output in self._thread.outputs(request.request, ids):
                piece = collector.chunk(output)
                if piece is not None:
                    yield piece
            if request.include_usage:
                yield collector.last_chunk()
        finally:
            self._running.pop(request.id, None)

    def _create(self, request: _Request, stream: bool) -> Any:
        if stream:
            # The request is checked and added now, not when the first piece is asked for.
            return _primed(self._stream(request))
        collector = _Collector(request)
        try:
            ids = self._running.setdefault(request.id, [])
            for output in self._thread.outputs(request.request, ids):
                collector.add(output)
        finally:
            self._running.pop(request.id, None)
        return collector.response()


class AsyncMLCEngine(_EngineBase):
    """An engine for asyncio. Requests that are awaited together share steps. A task that is cancelled cancels its request."""

    def __init__(self, model: str, device: str = "auto", *, model_lib: Optional[str] = None, mode: str = "local",
                 engine_config: Optional[EngineConfig] = None, enable_tracing: bool = False) -> None:
        super().__init__(model, device, model_lib=model_lib, mode=mode, engine_config=engine_config, enable_tracing=enable_tracing)
        self.chat: Chat[AsyncChatCompletions] = Chat(AsyncChatCompletions(self))
        self.completions = AsyncCompletions(self)
        self.embeddings = AsyncEmbeddings(self)

    async def _outputs(self, request: _Request) -> AsyncIterator[Output]:
        loop = asyncio.get_running_loop()
        results: asyncio.Queue[Output] = asyncio.Queue()

        def tell(output: Output) -> None:
            try:
                loop.call_soon_threadsafe(results.put_nowait, output)
            except RuntimeError:  # the loop is closed: nobody waits any more
                pass

        ids = self._running.setdefault(request.id, [])
        over = False

        def add() -> None:
            ids.append(self._thread.add(request.request, tell))
            if over:  # the task was cancelled meanwhile
                self._thread.cancel(ids[-1])

        try:
            await asyncio.to_thread(add)  # in a thread, since the engine may be in the middle of a step
            remaining = answer_count(request.request)
            while remaining:
                output = await results.get()
                if output.get("finish_reason") == "error":
                    raise_error(1, output["error"])
                remaining -= "finish_reason" in output
                yield output
        finally:
            over = True
            self._running.pop(request.id, None)
            for id in ids:
                self._thread.cancel(id)

    async def _stream(self, request: _Request) -> AsyncIterator[Any]:
        collector = _Collector(request)
        async for output in self._outputs(request):
            piece = collector.chunk(output)
            if piece is not None:
                yield piece
        if request.include_usage:
            yield collector.last_chunk()

    async def _create(self, request: _Request, stream: bool) -> Any:
        if stream:
            return await _primed_async(self._stream(request))
        collector = _Collector(request)
        async for output in self._outputs(request):
            collector.add(output)
        return collector.response()


def _primed(stream: Iterator[Any]) -> Iterator[Any]:
    """The stream, whose first piece is here already: so that errors of the request are raised by create()."""
    try:
        first = next(stream)
    except StopIteration:
        return iter(())

    def rest() -> Iterator[Any]:
        try:
            yield first
            yield from stream
        finally:
            stream.close()  # type: ignore[attr-defined]

    return rest()


async def _primed_async(stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The same for an asynchronous stream."""
    try:
        first = await stream.__anext__()
    except StopAsyncIteration:
        first = None

    async def rest() -> AsyncIterator[Any]:
        try:
            if first is not None:
                yield first
            async for piece in stream:
                yield piece
        finally:
            await stream.aclose()  # type: ignore[attr-defined]

    return rest()


Completions_ = TypeVar("Completions_")


class Chat(Generic[Completions_]):
    """The `chat` of an engine."""

    def __init__(self, completions: Completions_) -> None:
        self.completions = completions


class ChatCompletions:
    """The `chat.completions` of an MLCEngine."""

    def __init__(self, engine: MLCEngine) -> None:
        self._engine = engine

    @overload
    def create(self, *, messages: Sequence[dict[str, Any]], model: Optional[str] = None, stream: Literal[False] = False, request_id: Optional[str] = None,
               extra_body: Optional[dict[str, Any]] = None, **options: Any) -> ChatCompletion: ...

    @overload
    def create(self, *, messages: Sequence[dict[str, Any]], model: Optional[str] = None, stream: Literal[True], request_id: Optional[str] = None,
               extra_body: Optional[dict[str, Any]] = None, **options: Any) -> Iterator[ChatCompletionChunk]: ...

    @overload
    def create(self, *, messages: Sequence[dict[str, Any]], model: Optional[str] = None, stream: bool, request_id: Optional[str] = None,
               extra_body: Optional[dict[str, Any]] = None, **options: Any) -> Union[ChatCompletion, Iterator[ChatCompletionChunk]]: ...

    def create(self, *, messages: Sequence[dict[str, Any]], model: Optional[str] = None, stream: bool = False,
               request_id: Optional[str] = None, extra_body: Optional[dict[str, Any]] = None, **options: Any) -> Any:
        """Answers a conversation. Source: OpenAI's API reference, "Create chat completion".

        messages: [{"role": "user", "content": "hi"}, …]. options: n, max_tokens, temperature, top_p, top_k, min_p, seed, stop,
        stop_token_ids, presence_penalty, frequency_penalty, repetition_penalty, logit_bias, logprobs, top_logprobs, response_format,
        tools, tool_choice, chat_template_kwargs, ignore_eos, stream_options (docs/python.md); absent ones are the model's. extra_body: more of
        them, such as {"debug_config": {"ignore_eos": True}}.
        Gives a ChatCompletion, or with stream an iterator of ChatCompletionChunk. Raises MLCUserError: an option that there is
        not, that is out of range or that is not implemented; a prompt longer than the context."""
        return self._engine._create(self._engine._chat_request(messages, model, request_id, extra_body, options), stream)


class Completions:
    """The `completions` of an MLCEngine."""

    def __init__(self, engine: MLCEngine) -> None:
        self._engine = engine

    @overload
    def create(self, *, prompt: Union[str, Sequence[int]], model: Optional[str] = None, stream: Literal[False] = False, echo: bool = False, suffix: Optional[str] = None, best_of: int = 1,
               request_id: Optional[str] = None,
               extra_body: Optional[dict[str, Any]] = None, **options: Any) -> Completion: ...

    @overload
    def create(self, *, prompt: Union[str, Sequence[int]], model: Optional[str] = None, stream: Literal[True], echo: bool = False, suffix: Optional[str] = None, best_of: int = 1,
               request_id: Optional[str] = None,
               extra_body: Optional[dict[str, Any]] = None, **options: Any) -> Iterator[Completion]: ...

    @overload
    def create(self, *, prompt: Union[str, Sequence[int]], model: Optional[str] = None, stream: bool, echo: bool = False, suffix: Optional[str] = None, best_of: int = 1,
               request_id: Optional[str] = None,
               extra_body: Optional[dict[str, Any]] = None, **options: Any) -> Union[Completion, Iterator[Completion]]: ...

    def create(self, *, prompt: Union[str, Sequence[int]], model: Optional[str] = None, stream: bool = False, echo: bool = False,
               suffix: Optional[str] = None, best_of: int = 1, request_id: Optional[str] = None,
               extra_body: Optional[dict[str, Any]] = None, **options: Any) -> Any:
        """Goes on with a text or with token ids, which no conversation template is put around. Source: OpenAI's API reference,
        "Create completion". echo: begin with the prompt. suffix: put behind the answer. Else as chat.completions.create.
        Gives a Completion, or with stream an iterator of them."""
        request = self._engine._completion_request(prompt, model, echo, suffix, best_of, request_id, extra_body, options)
        return self._engine._create(request, stream)


class AsyncChatCompletions:
    """The `chat.completions` of an AsyncMLCEngine."""

    def __init__(self, engine: AsyncMLCEngine) -> None:
        self._engine = engine

    @overload
    async def create(self, *, messages: Sequence[dict[str, Any]], model: Optional[str] = None, stream: Literal[False] = False, request_id: Optional[str] = None,
               extra_body: Optional[dict[str, Any]] = None, **options: Any) -> ChatCompletion: ...

    @overload
    async def create(self, *, messages: Sequence[dict[str, Any]], model: Optional[str] = None, stream: Literal[True], request_id: Optional[str] = None,
               extra_body: Optional[dict[str, Any]] = None, **options: Any) -> AsyncIterator[ChatCompletionChunk]: ...

    @overload
    async def create(self, *, messages: Sequence[dict[str, Any]], model: Optional[str] = None, stream: bool, request_id: Optional[str] = None,
               extra_body: Optional[dict[str, Any]] = None, **options: Any) -> Union[ChatCompletion, AsyncIterator[ChatCompletionChunk]]: ...

    async def create(self, *, messages: Sequence[dict[str, Any]], model: Optional[str] = None, stream: bool = False,
                     request_id: Optional[str] = None, extra_body: Optional[dict[str, Any]] = None, **options: Any) -> Any:
        """As ChatCompletions.create, awaited; with stream it gives an asynchronous iterator."""
        return await self._engine._create(self._engine._chat_request(messages, model, request_id, extra_body, options), stream)


class AsyncCompletions:
    """The `completions` of an AsyncMLCEngine."""

    def __init__(self, engine: AsyncMLCEngine) -> None:
        self._engine = engine

    @overload
    async def create(self, *, prompt: Union[str, Sequence[int]], model: Optional[str] = None, stream: Literal[False] = False, echo: bool = False, suffix: Optional[str] = None, best_of: int = 1,
               request_id: Optional[str] = None,
               extra_body: Optional[dict[str, Any]] = None, **options: Any) -> Completion: ...

    @overload
    async def create(self, *, prompt: Union[str, Sequence[int]], model: Optional[str] = None, stream: Literal[True], echo: bool = False, suffix: Optional[str] = None, best_of: int = 1,
               request_id: Optional[str] = None,
               extra_body: Optional[dict[str, Any]] = None, **options: Any) -> AsyncIterator[Completion]: ...

    @overload
    async def create(self, *, prompt: Union[str, Sequence[int]], model: Optional[str] = None, stream: bool, echo: bool = False, suffix: Optional[str] = None, best_of: int = 1,
               request_id: Optional[str] = None,
               extra_body: Optional[dict[str, Any]] = None, **options: Any) -> Union[Completion, AsyncIterator[Completion]]: ...

    async def create(self, *, prompt: Union[str, Sequence[int]], model: Optional[str] = None, stream: bool = False, echo: bool = False,
                     suffix: Optional[str] = None, best_of: int = 1, request_id: Optional[str] = None,
                     extra_body: Optional[dict[str, Any]] = None, **options: Any) -> Any:
        """As Completions.create, awaited; with stream it gives an asynchronous iterator."""
        request = self._engine._completion_request(prompt, model, echo, suffix, best_of, request_id, extra_body, options)
        return await self._engine._create(request, stream)


class Embeddings:
    """The `embeddings` of an MLCEngine."""

    def __init__(self, engine: MLCEngine) -> None:
        self._engine = engine

    def create(self, *, input: _embeddings.Inputs, model: Optional[str] = None, encoding_format: Literal["float", "base64"] = "float",
               dimensions: Optional[int] = None, user: Optional[str] = None) -> CreateEmbeddingResponse:
        """A vector for each input. Source: OpenAI's API reference, "Create embeddings".

        input: a text, token ids, or a list of either. The vector is the hidden state behind the final norm of the last token, an eos, made
        as long as 1 (docs/python.md). encoding_format: "base64" gives float32, little-endian, as a text. dimensions: the first so many values,
        made as long as 1 again. user: a name for the caller's own records. Raises MLCUserError."""
        return _embeddings.create(self._engine._thread, model or self._engine.model, input, encoding_format, dimensions)


class AsyncEmbeddings:
    """The `embeddings` of an AsyncMLCEngine."""

    def __init__(self, engine: AsyncMLCEngine) -> None:
        self._engine = engine

    async def create(self, *, input: _embeddings.Inputs, model: Optional[str] = None, encoding_format: Literal["float", "base64"] = "float",
                     dimensions: Optional[int] = None, user: Optional[str] = None) -> CreateEmbeddingResponse:
        """As Embeddings.create, awaited."""
        return await asyncio.to_thread(_embeddings.create, self._engine._thread, model or self._engine.model, input, encoding_format, dimensions)
