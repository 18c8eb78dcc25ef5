# SPDX-License-Identifier: Apache-2.0
"""Inputs that the fuzzers begin with, from tests/fixtures and, where it is there, the small files of ../shared."""
import base64
import json
import pathlib
import struct

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests/fixtures"
SHARED = ROOT.parent / "shared"
LARGEST = 64 << 10  # bytes; larger inputs make a fuzzer slow


def as_bytes(value):
    return json.dumps(value, ensure_ascii=False).encode()


def files(*patterns):
    for folder, pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            if path.is_file() and path.stat().st_size <= LARGEST:
                yield path.read_bytes()


def gguf():
    yield from files((FIXTURES / "gguf", "*.gguf"), (SHARED / "conformance/gguf", "**/*.gguf"))


def pytorch():
    for data in files((FIXTURES / "checkpoints", "*.bin")):
        yield b"\x01" + data  # an odd first byte: a whole file


def safetensors():
    header = as_bytes({"a": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]},
                       "b": {"dtype": "F32", "shape": [], "data_offsets": [8, 12]}, "__metadata__": {"format": "pt"}})
    yield struct.pack("<Q", len(header)) + header + bytes(12)


def parameter_index():
    record = {"name": "w", "shape": [2, 4], "dtype": "float32", "format": "f32-to-bf16", "nbytes": 16, "byteOffset": 0}
    yield as_bytes({"metadata": {"ParamSize": 1, "ParamBytes": 16.0, "BitsPerParam": 16.0},
                    "records": [{"dataPath": "params_shard_0.bin", "format": "raw-shard", "nbytes": 16, "records": [record],
                                 "md5sum": "0" * 32}]})
    yield from files((SHARED / "golden/mlc", "**/*-cache*.json"))


def chat_config():
    template = json.loads((ROOT / "src/formats/conversations/chatml.json").read_text(encoding="utf-8"))
    yield as_bytes({"version": "0.1.0", "model_type": "llama", "quantization": "q4f16_1", "model_config": {"hidden_size": 64},
                    "vocab_size": 300, "context_window_size": 512, "temperature": 0.7, "tokenizer_files": ["tokenizer.json"],
                    "conv_template": template, "eos_token_id": [1, 2]})
    yield from files((SHARED / "golden/mlc", "**/mlc-chat-config.json"))


def gen_config():
    for config in json.loads((ROOT / "src/formats/model_presets.json").read_text(encoding="utf-8")).values():
        yield as_bytes(config)


def components(key):
    return json.loads((FIXTURES / "tokenizers/components.json").read_text(encoding="utf-8"))[key]


def tokenizer_json():
    for case in components("tokenizers"):
        yield as_bytes(case["tokenizer"])


def tokenizer_formats():
    for case in components("sentencepiece"):
        yield b"\x00" + base64.b64decode(case["model"])
    yield b"\x01" + components("tiktoken")["text"].encode()
    yield b"\x03" + b"1 'a' 1\n2 b'\\xff' 1\n3 'ab' 2\n"


def grammar():
    schema = {"type": "object", "properties": {"a": {"enum": ["x", 1, None]}, "b": {"type": "string", "pattern": "^[a-c]{2,9}$"},
                                               "c": {"type": "number", "minimum": -1.5, "exclusiveMaximum": 20}, "d": {"$ref": "#"}},
              "required": ["a"], "additionalProperties": {"type": "array", "items": {"type": "integer"}, "maxItems": 9},
              "allOf": [{"properties": {"a": {"type": "string"}}}]}
    yield bytes(17) + as_bytes(schema)
    yield bytes(17) + as_bytes({"oneOf": [{"type": "string", "maxLength": 20}, {"type": "boolean"}]})
    yield bytes(17) + as_bytes({"type": "object", "patternProperties": {"^x": {"type": "integer", "multipleOf": 3}}, "propertyNames": {"maxLength": 4},
                                "properties": {"a": {"type": "string", "pattern": "^[a-c]+$", "maxLength": 5, "not": {"enum": ["a"]}}},
                                "if": {"required": ["a"]}, "then": {"minProperties": 2}, "dependentRequired": {"a": ["xb"]}})
    yield bytes(17) + as_bytes({"oneOf": [{"type": "integer"}, {"type": "number", "minimum": 2}, {"items": {"enum": [1, "b"]}, "uniqueItems": True}]})
    yield b"\x01" + bytes(range(16)) + rb"^(?:[A-Z]\w*|\d{1,12}\u00e9?.)+$"
    yield b"\x02" + bytes(range(16)) + b'root ::= root "+" root | "a" list? | [^\\n]{2,20}\nlist ::= "[" (root ("," root)*)? "]" # lists\n'


SEEDS = {f.__name__: f for f in (gguf, pytorch, safetensors, parameter_index, chat_config, gen_config, tokenizer_json, tokenizer_formats,
                              grammar)}


def write_seeds(name, folder):
    """Writes the seeds of the fuzzer fuzz_NAME; a fuzzer that has none here starts from nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(SEEDS.get(name, lambda: ())()):
        (folder / f"seed{number}").write_bytes(data)
