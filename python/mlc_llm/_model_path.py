# SPDX-License-Identifier: Apache-2.0
"""Where a model and its library are looked for (spec: rest_api.md section 9)."""
from __future__ import annotations

import json
import pathlib
from typing import Optional

from mlc_llm._errors import ModelNotFoundError
from mlc_llm._program import compile_library

CONFIG = "mlc-chat-config.json"


def find_model(model: str) -> str:
    """The first folder with mlc-chat-config.json: MODEL, dist/prebuilt/MODEL, dist/MODEL/params, dist/prebuilt/mlc-chat-MODEL. An
    address is given back as it is, for the engine to refuse. Raises ModelNotFoundError, which tells a folder without the file
    from no folder at all."""
    if "://" in model:
        return model
    candidates = [model, f"dist/prebuilt/{model}", f"dist/{model}/params", f"dist/prebuilt/mlc-chat-{model}"]
    for candidate in candidates:
        path = pathlib.Path(candidate)
        if path.is_file() or (path / CONFIG).is_file():
            return candidate if path.is_dir() else str(path.parent)
    tried = "\n  looked for it in " + ", ".join(candidates)
    for candidate in candidates:
        if pathlib.Path(candidate).is_dir():
            raise ModelNotFoundError(f"error: {candidate}/{CONFIG}: does not exist\n  mlc_llm gen_config writes it{tried}")
    raise ModelNotFoundError(f"error: {model}: does not exist\n  expected a folder with {CONFIG}, or that file\n  mlc_llm gen_config writes it{tried}")


def find_library(model: str, library: Optional[str], device: str = "auto", name: Optional[str] = None, overrides: str = "", opt: Optional[str] = None) -> str:
    """Path of the library: the one that is given, which must be there; else NAME-DEVICE.so beside the model and in the usual
    folders, where the model's config or the caller names one; else one that is compiled for it."""
    if library is not None:
        if not pathlib.Path(library).is_file():
            raise ModelNotFoundError(f"error: {library}: does not exist\n  expected a library\n  mlc_llm compile makes one")
        return library
    if name is None and "://" not in model:
        try:
            name = json.loads((pathlib.Path(model) / CONFIG).read_text(encoding="utf-8")).get("model_lib")
        except (OSError, ValueError, AttributeError):
            name = None  # the engine reads the file again and says what is wrong
    if name and not overrides and opt is None:
        kind = "cpu" if device == "auto" else device.split(":")[0]
        folder = pathlib.Path(model)
        for place in (pathlib.Path("."), pathlib.Path("dist/prebuilt/lib"), pathlib.Path("dist") / folder.name, folder, folder.parent):
            path = place / f"{name}-{kind}.so"
            if path.is_file():
                return str(path)
    return compile_library(model, device, overrides, opt)
