# SPDX-License-Identifier: Apache-2.0
"""What ChatModule.generate() tells while it writes: to standard output, or to an iterator."""
from __future__ import annotations

import queue
from typing import Iterator, Optional


class DeltaCallback:
    """Turns whole texts into the new part of each. generate() calls it every callback_interval tokens with the text so far, and once
    with stopped=True."""

    def __init__(self, callback_interval: int = 2) -> None:
        self.callback_interval = callback_interval
        self.curr_message = ""

    def __call__(self, message: str = "", stopped: bool = False) -> None:
        if stopped:
            self.stopped_callback()
            self.curr_message = ""
            return
        # A character that was held back may change the end of what was there before.
        begin = len(self.curr_message) if message.startswith(self.curr_message) else 0
        delta = message[begin:]
        self.curr_message = message
        self.delta_callback(delta)

    def delta_callback(self, delta_message: str) -> None:
        """Gets the new part of the text."""
        raise NotImplementedError

    def stopped_callback(self) -> None:
        """Called when the answer is over."""
        raise NotImplementedError


class StreamToStdout(DeltaCallback):
    """Prints the text as it comes, and a newline at its end."""

    def delta_callback(self, delta_message: str) -> None:
        print(delta_message, end="", flush=True)

    def stopped_callback(self) -> None:
        print()


class StreamIterator(DeltaCallback):
    """An iterator over the new parts, for another thread than that of generate(). timeout: seconds to wait for one, after which
    queue.Empty is raised; None: for ever."""

    def __init__(self, callback_interval: int = 2, timeout: Optional[float] = None) -> None:
        super().__init__(callback_interval)
        self.delta_messages: queue.Queue[Optional[str]] = queue.Queue()
        self.timeout = timeout

    def delta_callback(self, delta_message: str) -> None:
        self.delta_messages.put(delta_message)

    def stopped_callback(self) -> None:
        self.delta_messages.put(None)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        value = self.delta_messages.get(timeout=self.timeout)
        if value is None:
            raise StopIteration
        return value
