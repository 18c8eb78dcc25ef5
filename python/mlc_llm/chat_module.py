# SPDX-License-Identifier: Apache-2.0
"""ChatModule: one conversation with one model (spec: rest_api.md section 9; the API of MLC LLM's ChatModule)."""
from __future__ import annotations

import dataclasses
import json
import pathlib
import warnings
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from mlc_llm import _native
from mlc_llm._engine_thread import EngineThread
from mlc_llm._errors import MLCUserError
from mlc_llm._model_path import CONFIG, find_library, find_model

if TYPE_CHECKING:
    import numpy
    import numpy.typing

Message = dict[str, Any]  # {"role": "user", "content": "hi"}
Callback = Callable[..., None]

# Where the model goes on with a text there is no conversation: every prompt begins a new one.
_COMPLETION_TEMPLATES = ("LM", "codellama_completion")
# Where neither a config nor the file of older models says so; the values that those files have.
_MEAN_GEN_LEN = 128
_MAX_GEN_LEN = 512
_SHIFT_FILL_FACTOR = 0.3


@dataclasses.dataclass
class ConvConfig:
    """Members of the conversation template that replace the model's: those of `conv_template` in mlc-chat-config.json. None: the
    model's own."""

    name: Optional[str] = None
    system_template: Optional[str] = None
    system_message: Optional[str] = None
    system_prefix_token_ids: Optional[list[int]] = None
    add_role_after_system_message: Optional[bool] = None
    roles: Optional[dict[str, str]] = None
    role_templates: Optional[dict[str, str]] = None
    messages: Optional[list[list[str]]] = None
    seps: Optional[list[str]] = None
    role_content_sep: Optional[str] = None
    role_empty_sep: Optional[str] = None
    stop_str: Optional[list[str]] = None
    stop_token_ids: Optional[list[int]] = None


@dataclasses.dataclass
class ChatConfig:
    """What replaces the settings of mlc-chat-config.json. None: the file's.

    conv_template: the name of a built-in template. mean_gen_len: tokens that are kept free for an answer (128); max_gen_len: most
    tokens of an answer (512; -1: until the context is full); shift_fill_factor: the part of the context that is filled again when a
    conversation has outgrown it (0.3). context_window_size … opt are compiled into a library, so that one is compiled for them;
    a library that is given allows a smaller context_window_size and prefill_chunk_size. local_id, model_category and model_name are
    labels for the caller's own use."""

    model_lib: Optional[str] = None
    local_id: Optional[str] = None
    conv_template: Optional[str] = None
    temperature: Optional[float] = None
    presence_penalty: Optional[float] = None
    frequency_penalty: Optional[float] = None
    repetition_penalty: Optional[float] = None
    top_p: Optional[float] = None
    mean_gen_len: Optional[int] = None
    max_gen_len: Optional[int] = None
    shift_fill_factor: Optional[float] = None
    tokenizer_files: Optional[list[str]] = None
    conv_config: Optional[ConvConfig] = None
    model_category: Optional[str] = None
    model_name: Optional[str] = None
    tensor_parallel_shards: Optional[int] = None
    use_presharded_weights: Optional[bool] = None
    context_window_size: Optional[int] = None
    sliding_window_size: Optional[int] = None
    prefill_chunk_size: Optional[int] = None
    attention_sink_size: Optional[int] = None
    max_batch_size: Optional[int] = None
    opt: Optional[str] = None


@dataclasses.dataclass
class GenerationConfig:
    """How one answer is written. None: the chat config's.

    temperature: 0 takes the most probable token. max_gen_len: most tokens of the answer; mean_gen_len: tokens that are kept free for
    it. n: so many answers, one after the other. stop: texts that end the answer. seed: makes it reproducible."""

    temperature: Optional[float] = None
    repetition_penalty: Optional[float] = None
    top_p: Optional[float] = None
    mean_gen_len: Optional[int] = None
    max_gen_len: Optional[int] = None
    presence_penalty: Optional[float] = None
    frequency_penalty: Optional[float] = None
    n: Optional[int] = None
    stop: Union[None, str, list[str]] = None
    top_k: Optional[int] = None
    min_p: Optional[float] = None
    seed: Optional[int] = None


def _given(config: Any, *names: str) -> dict[str, Any]:
    """The members that are not None, of those named or of all."""
    return {name: value for name, value in vars(config).items() if value is not None and (not names or name in names)}


def _engine_changes(config: ChatConfig) -> dict[str, Any]:
    """What mlc_engine_configure() takes."""
    for name in ("tokenizer_files", "use_presharded_weights"):
        if getattr(config, name) is not None:
            raise MLCUserError(f"error: {name}: is not implemented\n  expected None\n  leave it out: the files in the model's folder are used")
    changes = _given(config, "temperature", "top_p", "repetition_penalty", "presence_penalty", "frequency_penalty")
    if isinstance(config.conv_template, str):
        changes["conv_template"] = config.conv_template
    elif config.conv_template is not None:
        warnings.warn("ChatConfig.conv_template is no name of a template and has no effect; use conv_config", stacklevel=4)
    if config.conv_config is not None:
        changes["conv_config"] = _given(config.conv_config)
    return changes


class ChatModule:
    """A conversation with a model: every prompt sees those before it, and their answers.

    >>> from mlc_llm import ChatModule
    >>> cm = ChatModule(model="dist/SmolLM2-135M-Instruct-q4f16_1-MLC", model_lib_path="dist/libs/SmolLM2-135M-Instruct-q4f16_1-cpu.so")
    >>> cm.generate("hi")
    """

    def __init__(self, model: str, device: str = "auto", chat_config: Optional[ChatConfig] = None, model_lib_path: Optional[str] = None) -> None:
        """Opens a model.

        model: folder with mlc-chat-config.json, weights and tokenizer; also looked for as dist/prebuilt/MODEL, dist/MODEL/params
        and dist/prebuilt/mlc-chat-MODEL. device: "auto" or "cpu". model_lib_path: what `mlc_llm compile` made; without it the
        library is looked for beside the model, else compiled into the cache, which takes seconds.
        Raises ModelNotFoundError (a FileNotFoundError), MLCUserError."""
        config = chat_config or ChatConfig()
        if config.model_lib is not None:
            warnings.warn("ChatConfig.model_lib has no effect; use model_lib_path", stacklevel=2)
        changes = _engine_changes(config)
        limits = _given(config, "context_window_size", "sliding_window_size", "prefill_chunk_size", "attention_sink_size", "max_batch_size",
                        "tensor_parallel_shards")
        overrides = ";".join(f"{name}={value}" for name, value in limits.items())
        self.model_path = find_model(model)
        options: dict[str, Any] = {"device": device, "max_num_sequence": 1, "config": changes}
        if model_lib_path is not None:
            options.update(overrides=overrides, opt=config.opt)
            overrides = ""
        self.model_lib_path = find_library(self.model_path, model_lib_path, device, overrides=overrides,
                                           opt=None if model_lib_path is not None else config.opt)
        if model_lib_path is None:
            options.update(_given(config, "context_window_size", "prefill_chunk_size"))
        self._config: dict[str, Any] = {"mean_gen_len": _MEAN_GEN_LEN, "shift_fill_factor": _SHIFT_FILL_FACTOR, "max_gen_len": _MAX_GEN_LEN}
        try:
            file = json.loads((pathlib.Path(self.model_path) / CONFIG).read_text(encoding="utf-8"))
            self._config.update({key: file[key] for key in self._config if file.get(key) is not None})
        except (OSError, ValueError, AttributeError):
            pass  # the engine reads the file again and says what is wrong
        self._thread = EngineThread(self.model_path, self.model_lib_path, options)
        self._messages: list[Message] = []
        self._usage: Optional[dict[str, Any]] = None
        self._use(config)

    def _use(self, config: ChatConfig) -> None:
        self._config.update(_given(config, *self._config))
        info = json.loads(self._thread.call(lambda engine: engine.info()))
        self._window: int = info["context_window_size"]
        self._template: dict[str, Any] = info["config"]["conv_template"]

    def generate(self, prompt: Union[str, list[Message]], generation_config: Optional[GenerationConfig] = None,
                 progress_callback: Optional[Callback] = None, stateless: bool = False) -> Union[str, list[str]]:
        """Answers a message, or a list of them ({"role", "content"}; the last one is the user's), which replaces the conversation.

        progress_callback: called with the text so far every `callback_interval` tokens (StreamToStdout, StreamIterator), and once
        with stopped=True. stateless: the conversation neither counts nor grows. Gives the answer; a list of them where
        generation_config.n is set. Raises MLCUserError: an option out of range, a prompt longer than the context. Ctrl-C ends the
        answer and raises KeyboardInterrupt; the conversation is as before."""
        config = generation_config or GenerationConfig()
        if isinstance(prompt, str):
            fresh = stateless or self._template.get("name") in _COMPLETION_TEMPLATES
            messages = ([] if fresh else list(self._messages)) + [{"role": "user", "content": prompt}]
        else:
            messages = [dict(message) for message in prompt]
            if not messages or messages[-1].get("role") != "user":
                raise MLCUserError("error: prompt: does not end with a message of the user\n  expected a list whose last role is user")
        if config.n is not None and config.n < 1:
            raise MLCUserError(f"error: n: is {config.n}\n  expected a positive integer")
        request: dict[str, Any] = _given(config, "temperature", "repetition_penalty", "top_p", "presence_penalty", "frequency_penalty", "stop",
                                         "top_k", "min_p", "seed")
        max_tokens = config.max_gen_len if config.max_gen_len is not None else self._config["max_gen_len"]
        request["max_tokens"] = max_tokens
        mean_gen_len = config.mean_gen_len if config.mean_gen_len is not None else self._config["mean_gen_len"]
        request["messages"] = self._fitting(messages, mean_gen_len)
        answers = []
        for index in range(config.n or 1):
            each = dict(request)
            if config.seed is not None:
                each["seed"] = config.seed + index
            answers.append(self._answer(each, progress_callback))
        if not stateless:
            self._messages = request["messages"] + [{"role": "assistant", "content": answers[-1]}]
        return answers if config.n is not None else answers[0]

    def _fitting(self, messages: list[Message], mean_gen_len: int) -> list[Message]:
        """The newest messages, where all of them leave no room for an answer: as many as fill shift_fill_factor of the context. A
        system message stays."""
        def tokens(part: list[Message]) -> int:
            request = json.dumps({"messages": part})
            return len(self._thread.call(lambda engine: engine.prompt(request)))

        free = min(mean_gen_len, self._window // 4)
        if tokens(messages) + free < self._window:
            return messages
        begin = 1 if messages[0]["role"] == "system" else 0
        head, rest = messages[:begin], messages[begin:]
        while len(rest) > 1 and tokens(head + rest) > self._config["shift_fill_factor"] * self._window:
            rest = rest[1:]
            while len(rest) > 1 and rest[0]["role"] != "user":
                rest = rest[1:]
        return head + rest

    def _answer(self, request: dict[str, Any], callback: Optional[Callback]) -> str:
        interval = max(1, getattr(callback, "callback_interval", 2))
        text = shown = ""
        tokens = 0
        for output in self._thread.outputs(request, []):
            text += output["text"]
            tokens += len(output["tokens"])
            self._usage = output.get("usage", self._usage)
            if callback is not None and text != shown and (tokens % interval == 0 or "finish_reason" in output):
                callback(text)
                shown = text
        if callback is not None:
            callback(stopped=True)
        return text

    def reset_chat(self, chat_config: Optional[ChatConfig] = None) -> None:
        """Forgets the conversation; chat_config replaces settings from here on. Sizes and opt need another ChatModule.
        Raises MLCUserError; then nothing changed but the conversation."""
        self._messages = []
        if chat_config is None:
            return
        fixed = _given(chat_config, "context_window_size", "sliding_window_size", "prefill_chunk_size", "attention_sink_size", "max_batch_size",
                       "tensor_parallel_shards", "opt")
        if fixed:
            raise MLCUserError(f"error: {next(iter(fixed))}: cannot be changed by reset_chat\n  open another ChatModule")
        changes = json.dumps(_engine_changes(chat_config))
        self._thread.call(lambda engine: engine.configure(changes))
        self._use(chat_config)

    def stats(self, verbose: bool = False) -> str:
        """Speed of the last answer: "prefill: 12.3 tok/s, decode: 45.6 tok/s". verbose: tokens and seconds too. "N/A" where nothing
        was computed."""
        usage = self._usage
        prefill = decode = "N/A"
        if usage is not None:
            computed, more = usage["prompt_tokens"] - usage["cached_tokens"], usage["completion_tokens"] - 1
            if usage["prefill_seconds"] > 0:
                prefill = f"{computed / usage['prefill_seconds']:.1f}"
            if usage["decode_seconds"] > 0:
                decode = f"{more / usage['decode_seconds']:.1f}"
        text = f"prefill: {prefill} tok/s, decode: {decode} tok/s"
        if verbose and usage is not None:
            text += (f"\nprompt: {usage['prompt_tokens']} tokens, of which a cache held {usage['cached_tokens']}, in {usage['prefill_seconds']:.3f} s"
                     f"\nanswer: {usage['completion_tokens']} tokens, in {usage['decode_seconds']:.3f} s after the first")
        return text

    def benchmark_generate(self, prompt: str, generate_length: int) -> str:
        """Goes on with a text, which no template is put around, for exactly so many tokens, whatever they are, after a warm-up;
        stats() then tells the speed. Forgets the conversation. Raises ValueError: a negative length; MLCUserError: more
        tokens than the context has."""
        if generate_length < 0:
            raise MLCUserError(f"error: generate_length: is {generate_length}\n  expected at least 0")
        self.reset_chat()
        self._usage = None
        if generate_length == 0:
            return ""
        length = len(self._thread.call(lambda engine: engine.encode(prompt, False)))
        if length + generate_length > self._window:
            raise MLCUserError(f"error: benchmark_generate: needs {length + generate_length} tokens\n  expected at most {self._window}, the context "
                               "that the model has here")
        request = {"prompt": prompt, "ignore_eos": True, "temperature": 0}
        self._answer({**request, "max_tokens": min(generate_length, 4)}, None)
        self._thread.call(lambda engine: engine.forget())
        return self._answer({**request, "max_tokens": generate_length}, None)

    def logits(self, prompt: Union[str, list[int]], all_positions: bool = False) -> "numpy.typing.NDArray[numpy.float32]":
        """Logits after a text or token ids, float32 [1, vocab_size]; with all_positions after each, [tokens, vocab_size]. The array is
        the memory that the model's results were put into, not a copy of it. Needs numpy."""
        ids = self._thread.call(lambda engine: engine.encode(prompt, False)) if isinstance(prompt, str) else [int(id) for id in prompt]
        return self._thread.call(lambda engine: engine.logits(ids, all_positions))

    def embed_text(self, input: str) -> "numpy.typing.NDArray[numpy.float32]":
        """The vectors of a text's tokens as the model's first block gets them, float32 [tokens, hidden_size]: each of its token alone. For one
        vector of a whole text there is MLCEngine.embeddings. Neither special tokens nor a template are put around it; the conversation is as
        before. The array is the memory that the vectors were put into. Needs numpy. Raises MLCUserError: an empty text, one longer than the
        context."""
        import numpy

        def embed(engine: _native.Engine) -> memoryview:
            return engine.vectors(engine.encode(input, False), _native.TOKEN_VECTORS)

        return numpy.asarray(self._thread.call(embed))

    def _get_role_0(self) -> str:
        return str(self._template["roles"].get("user", ""))

    def _get_role_1(self) -> str:
        return str(self._template["roles"].get("assistant", ""))

    def _get_config_json(self) -> str:
        return json.dumps(json.loads(self._thread.call(lambda engine: engine.info()))["config"])

    def _reset_runtime_stats(self) -> None:
        self._usage = None

    def _unload(self) -> None:
        self._thread.close()
