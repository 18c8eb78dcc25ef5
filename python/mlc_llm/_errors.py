# SPDX-License-Identifier: Apache-2.0
"""The exceptions of the package. Their texts are those that the command line prints."""
from __future__ import annotations

from typing import NoReturn


class MLCError(Exception):
    """Anything that mlc_llm itself reports: "error: WHERE: FOUND", then what was expected and what to do, a line each."""


class MLCUserError(MLCError, ValueError):
    """An input, an option, a file or the machine is at fault."""


class ModelNotFoundError(MLCUserError, FileNotFoundError):
    """There is no such folder of a model, or no such library."""


class MLCInternalError(MLCError, RuntimeError):
    """A mistake of mlc_llm."""


def raise_error(status: int, message: str) -> NoReturn:
    """Raises the exception for a status of the C interface, which is also the program's exit status."""
    if status not in (1, 2):
        raise MLCInternalError(message)
    if message.split("\n")[0].endswith("does not exist"):
        raise ModelNotFoundError(message)
    raise MLCUserError(message)
