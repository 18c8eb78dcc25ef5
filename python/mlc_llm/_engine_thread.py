# SPDX-License-Identifier: Apache-2.0
"""The one thread that uses a native engine. All others send it calls; requests that are there together share its steps."""
from __future__ import annotations

import concurrent.futures
import json
import queue
import threading
import weakref
from typing import Any, Callable, Iterator, TypeVar

from mlc_llm import _native
from mlc_llm._errors import MLCError, raise_error

T = TypeVar("T")
Output = dict[str, Any]  # as in mlc_engine_take_outputs() of mlc_llm.h
Listener = Callable[[Output], None]


def answer_count(request: dict[str, Any]) -> int:
    """How many answers a request has, which the engine took."""
    n = request.get("n")
    return 1 if n is None else int(n)


class _Listening:
    """Who listens to a request, and which of its answers are not over."""

    def __init__(self, listener: Listener, answers: int) -> None:
        self.listener = listener
        self.open = set(range(answers))

    def end(self, id: int, finish_reason: str, **members: str) -> None:
        """Tells of every answer that is not over that it is."""
        for index in sorted(self.open):
            self.listener({"request": id, "index": index, "text": "", "tokens": [], "finish_reason": finish_reason, **members})
        self.open.clear()


def _run(engine: _native.Engine, calls: "queue.SimpleQueue[Callable[[], None] | None]", listeners: dict[int, _Listening]) -> None:
    """The thread: calls first, then a step, as long as there are requests. It holds nothing that keeps an EngineThread alive."""
    more = False
    while True:
        try:
            call = calls.get(block=not more)
            if call is None:
                break
            call()
            del call  # it may hold an EngineThread, which would never be closed
            more = True  # it may have added a request
            continue
        except queue.Empty:
            pass
        try:
            more = engine.step()
            outputs = json.loads(engine.take_outputs())
        except BaseException as error:  # none is known; whoever waits must hear of it
            for id, listening in listeners.items():
                listening.end(id, "error", error=str(error))
            listeners.clear()
            outputs, more = [], False
        for output in outputs:
            id = output["request"]
            if id not in listeners:
                continue
            listening = listeners[id]
            if "finish_reason" in output:
                listening.open.discard(output["index"])
                if not listening.open:
                    del listeners[id]
            listening.listener(output)
    for id, listening in listeners.items():
        listening.end(id, "abort")
    engine.close()


def _stop(calls: "queue.SimpleQueue[Callable[[], None] | None]", thread: threading.Thread) -> None:
    calls.put(None)
    if thread is not threading.current_thread():
        thread.join()


class EngineThread:
    """A native engine with the thread that uses it. Any thread may call its methods."""

    def __init__(self, model: str, library: str | None, options: dict[str, Any]) -> None:
        engine = _native.Engine(model, library, json.dumps(options))
        self._engine = engine
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._listeners: dict[int, _Listening] = {}
        thread = threading.Thread(target=_run, args=(engine, self._calls, self._listeners), name="mlc_llm engine", daemon=True)
        thread.start()
        self._finalizer = weakref.finalize(self, _stop, self._calls, thread)

    def close(self) -> None:
        """Ends all requests and gives the memory back. Calls after it raise MLCError."""
        self._finalizer()

    def call(self, function: Callable[[_native.Engine], T]) -> T:
        """What `function` gives on the engine's thread, between two steps."""
        if not self._finalizer.alive:
            raise MLCError("error: engine: is closed\n  open another one")
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        def run() -> None:
            try:
                future.set_result(function(self._engine))
            except BaseException as error:
                future.set_exception(error)

        self._calls.put(run)
        return future.result()

    def add(self, request: dict[str, Any], listener: Listener) -> int:
        """Adds a request; `listener` gets its outputs on the engine's thread. Gives its number."""
        text = json.dumps(request)

        def add(engine: _native.Engine) -> int:
            id = engine.add(text)
            self._listeners[id] = _Listening(listener, answer_count(request))
            return id

        return self.call(add)

    def cancel(self, request: int) -> None:
        """Ends a request where it stands. One that is over or unknown is ignored."""
        if self._finalizer.alive:
            self._calls.put(lambda: self._engine.cancel(request))

    def outputs(self, request: dict[str, Any], ids: list[int]) -> Iterator[Output]:
        """Adds a request and gives its outputs as they come, until all of its answers are over; `ids` gets its number. Whoever stops
        early (Ctrl-C, break) cancels the rest. A request that fails raises its error."""
        results: queue.SimpleQueue[Output] = queue.SimpleQueue()
        id = self.add(request, results.put)
        try:
            ids.append(id)
            remaining = answer_count(request)
            while remaining:
                output = results.get()
                if output.get("finish_reason") == "error":
                    raise_error(1, output["error"])
                remaining -= "finish_reason" in output
                yield output
        finally:
            self.cancel(id)
