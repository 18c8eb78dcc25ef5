# SPDX-License-Identifier: Apache-2.0
"""Language models on this machine: ChatModule for a conversation, MLCEngine and AsyncMLCEngine with OpenAI's interface. The program
`mlc_llm` (or `python -m mlc_llm`) converts weights and compiles libraries. docs/python.md shows all of it."""
from mlc_llm._errors import MLCError, MLCInternalError, MLCUserError, ModelNotFoundError
from mlc_llm._native import __version__
from mlc_llm.chat_module import ChatConfig, ChatModule, ConvConfig, GenerationConfig
from mlc_llm.engine import AsyncMLCEngine, EngineConfig, MLCEngine

__all__ = ["AsyncMLCEngine", "ChatConfig", "ChatModule", "ConvConfig", "EngineConfig", "GenerationConfig", "MLCEngine", "MLCError",
           "MLCInternalError", "MLCUserError", "ModelNotFoundError", "__version__"]
