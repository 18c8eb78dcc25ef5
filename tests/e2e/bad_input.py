#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Wrong input of every kind: one message that says where and what, exit status 1 (2 for the command line), and no output."""
import json
import os
import pathlib
import pickle
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

from support.tiny_model import ROOT, Skipped, change_json, check, main, make_checkpoint, make_model

sys.path.insert(0, str(ROOT / "scripts"))


def refuse(program, *arguments, words, status=1, **settings):
    """Runs a command that has to fail with messages that hold all the words."""
    err = program.run(*arguments, status=status, **settings)[1]
    for text in [words] if isinstance(words, str) else words:
        check(text in err, arguments, "does not say:", text, "but:", err)
    check(err.count("error: ") == 1 and "internal error" not in err, err)


def refuse_all(program, path, good, damages, *arguments):
    """Damages the file at `path`, whose bytes are `good`, in each of many ways: pairs of bytes (None: no file) and words."""
    for data, words in damages:
        if data is None:
            path.unlink()
        else:
            path.write_bytes(data)
        refuse(program, *arguments, words=words)
    path.write_bytes(good)


def refuse_conversion(program, source, words, quantization="q4f16_1"):
    out = program.folder / "refused"
    refuse(program, "convert_weight", source, "--quantization", quantization, "-o", out, words=words)
    check(not out.exists() or not list(out.iterdir()), "written nevertheless:", out)


def with_library(program, **settings):
    """A model, and the command that computes with it."""
    model = make_model(program, **settings)
    program.run("compile", model, "-o", model / "lib.so")
    (program.folder / "ids.json").write_text("[1, 2, 3]")
    return model, ["debug", "greedy", model, "--model-lib", model / "lib.so", "--tokens", program.folder / "ids.json", "--max-new", 2]


def damaged_shards(program):
    model, greedy = with_library(program)
    shard, index = model / "params_shard_0.bin", model / "tensor-cache.json"
    good = shard.read_bytes()
    size = len(good)
    refuse_all(program, shard, good, [
        (good[:-1], [f"error: {shard}: has {size - 1:,} bytes (", f"\n  expected {size:,} bytes (", f", as {index} says\n  download it, or convert"]),
        (b"", f"error: {shard}: has 0 bytes"),
        (good + b"\0", f"error: {shard}: has {size + 1:,} bytes"),
        (b"version https://git-lfs.github.com/spec/v1\n", f"error: {shard}: is a pointer of Git LFS"),
        (None, f"error: {shard}: is missing; {index} names it"),
    ], *greedy)
    # What has the right size is only found when it is asked for.
    shard.write_bytes(good[:1000] + bytes([good[1000] ^ 1]) + good[1001:])
    program.run(*greedy)
    refuse(program, *greedy, "--verify", words=[f"error: {shard}: has the md5 sum ", f", as {index} says\n  the file is damaged"])
    shard.write_bytes(good)
    program.run(*greedy, "--verify")


def damaged_indexes(program):
    model, greedy = with_library(program)
    index = model / "tensor-cache.json"
    good = index.read_bytes()

    def changed(change):
        values = json.loads(good)
        change(values["records"][0]["records"], values["records"][0])
        return json.dumps(values).encode()

    first = json.loads(good)["records"][0]["records"][0]
    refuse_all(program, index, good, [
        (good[:-10], f"error: {index}:"),
        (b"[]", f"error: {index}"),
        (b"{}", f'error: {index}: lacks the key "records"'),
        (changed(lambda tensors, _: tensors.append(tensors[0])), [f"error: {index}: ", first["name"], "twice"]),
        (changed(lambda tensors, _: tensors.pop()), [f"error: {index}: has no tensor ", f", which {model / 'lib.so'} needs"]),
        (changed(lambda tensors, _: tensors[0].update(byteOffset=1 << 62)), f"lies at byte {1 << 62} and has "),
        (changed(lambda tensors, _: tensors[0].update(byteOffset=-1)), "lies at byte -1 and has "),
        (changed(lambda tensors, _: tensors[1].update(byteOffset=0)), ["lies at byte 0 of params_shard_0.bin"]),
        (changed(lambda tensors, _: tensors[0].update(shape=[1 << 62, 1 << 62])), "expected a shape of fewer elements"),
        (changed(lambda tensors, _: tensors[0].update(shape=[1])), ": nbytes: is "),
        (changed(lambda tensors, _: tensors[0].update(shape=first["shape"][::-1])), "needs it"),
        (changed(lambda tensors, _: tensors[0].update(dtype="float17")), "dtype: is float17\n  expected the name of a type"),
        (changed(lambda _, shard: shard.update(dataPath="../params_shard_0.bin")), 'dataPath: is "../params_shard_0.bin"'),
        (changed(lambda _, shard: shard.update(dataPath="/etc/passwd")), 'dataPath: is "/etc/passwd"'),
        (changed(lambda _, shard: shard.update(dataPath="params_shard_7.bin")), f"{model}/params_shard_7.bin: is missing; {index} names it"),
    ], *greedy)
    for name in model.glob("*-cache*.json"):
        name.unlink()
    refuse(program, *greedy, words=f"error: {model}: holds no converted weights\n  expected tensor-cache.json or ndarray-cache.json")


def safetensors_header(data):
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + size]), data[8 + size:]


def safetensors_file(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def damaged_safetensors(program):
    source = make_checkpoint(program)
    path = source / "model.safetensors"
    good = path.read_bytes()
    header, data = safetensors_header(good)
    name = "model.norm.weight"
    first, second = sorted((n for n in header if n != "__metadata__"), key=lambda n: header[n]["data_offsets"])[:2]

    def changed(change, data=data):
        values = json.loads(json.dumps(header))
        change(values)
        return safetensors_file(values, data)

    def at(tensor, **keys):
        return changed(lambda values: values[tensor].update(keys))

    twice = json.dumps(header).encode()
    twice = twice[:-1] + b', "' + name.encode() + b'": ' + json.dumps(header[name]).encode() + b"}"
    begin, end = header[first]["data_offsets"]
    where = f"error: {path}: tensor {first}"
    for bad, words in [
            (b"", f"error: {path}: is empty"),
            (good[:7], f"error: {path}: has 7 bytes\n  expected at least 8: the header's size"),
            (b"\xff" * 8 + good[8:], f"error: {path}: has a header of {2**64 - 1} bytes\n  expected at most 100000000"),
            (good[:100], [f"error: {path}: has a header of ", "the file is cut off"]),
            (good[:-1], [f"error: {path}: tensor ", "the file is cut off or damaged: download it again"]),
            (good + b"\0", f"error: {path}: has {len(data) + 1} bytes of data\n  expected {len(data)}, the end of the last tensor"),
            (safetensors_file(b"{" * 100, data), f"error: {path}: header:1:"),
            (safetensors_file(b"[" * 1000000, data), f"error: {path}: header:1:"),
            (safetensors_file(b"[]", data), f"error: {path}: header: is a list\n  expected an object"),
            (safetensors_file(twice, data), f"error: {path}: tensor {name}: stands twice"),
            (at(first, data_offsets=[begin, 1 << 62]), [f"{where}: ends at byte {1 << 62} of the data", f"within the {len(data)} bytes"]),
            (at(first, data_offsets=[-1, end]), [f"{where}: data_offsets: is [-1,", "expected a list of integers from 0 to 2^63 - 1"]),
            (at(first, data_offsets=[1 << 63, 1 << 64]), f"{where}: data_offsets: is "),
            (at(first, data_offsets=[end, begin]), [f"{where}: data_offsets: is ", "expected [begin, end] with begin <= end"]),
            (at(first, data_offsets=[begin]), f"{where}: data_offsets: is "),
            (at(first, data_offsets="all"), f"{where}: data_offsets: is "),
            (at(second, data_offsets=header[first]["data_offsets"], shape=header[first]["shape"]),
             ["begins at byte 0 of the data", "tensors must neither overlap nor leave gaps"]),
            (at(first, shape=[1 << 62, 1 << 62]), [f"{where}: shape: is ", "more than 2^63 bytes"]),
            (at(first, shape=[1]), f"{where}: has {end - begin} bytes of data\n  expected 2 for F16 [1]"),
            (at(first, dtype="F17"), [f"{where}: unknown dtype F17\n  expected one of ", "did you mean F16"]),
            (changed(lambda values: values[first].pop("dtype")), f'{where}: lacks the key "dtype"'),
            (changed(lambda values: values.update({"other": values.pop(first)})),
             [f"error: {path}: lacks 1 tensor that the model needs:\n    {first}", "is this the config of another checkpoint"]),
            (at(first, shape=header[first]["shape"][::-1]), [f"error: {path}: parameter {first}: cannot be made from {first} {header[first]['shape'][::-1]}\n  expected sources for the shape "
              f"{header[first]['shape']}, which config.json implies", "is this the config of another checkpoint?"]),
            (at(first, dtype="I16"), [f"tensor {first}: ", "int16"]),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", f"error: {path}: is a pointer of Git LFS"),
    ]:
        path.write_bytes(bad)
        refuse_conversion(program, source, words)
    path.unlink()
    refuse_conversion(program, source, [f"error: {source}: holds no weights", "name the file with --source"])
    path.mkdir()
    refuse_conversion(program, source, f"error: {path}: ")


def damaged_checkpoint_indexes(program):
    source = make_checkpoint(program, shards=2)
    index, shard = source / "model.safetensors.index.json", source / "model-00002-of-00002.safetensors"
    good = index.read_bytes()
    name = next(tensor for tensor, file in json.loads(good)["weight_map"].items() if file == shard.name)

    def changed(**entries):
        values = json.loads(good)
        values["weight_map"].update(entries)
        values["weight_map"] = {tensor: file for tensor, file in values["weight_map"].items() if file is not None}
        return json.dumps(values).encode()

    for bad, words in [
            (b"", f"error: {index}:1:1: "),
            (b"{}", f'error: {index}: lacks the key "weight_map"'),
            (b'{"weight_map": []}', f"error: {index}: weight_map: is a list"),
            (b'{"weight_map": {}}', f"error: {index}: weight_map: is empty"),
            (changed(**{name: "model-00003-of-00002.safetensors"}),
             f"error: {source}/model-00003-of-00002.safetensors: is missing; {index} says that it holds {name}"),
            (changed(**{name: "model-00001-of-00002.safetensors"}),
             f"error: {source}/model-00001-of-00002.safetensors: lacks the tensor {name}\n  expected it here, as {index} says"),
            (changed(**{name: None}), f"lacks 1 tensor that the model needs:\n    {name}"),
            (changed(**{name: "../model.safetensors"}), f'error: {index}: weight_map: {name}: names the file "../model.safetensors"'),
            (changed(**{name: 3}), f"error: {index}: weight_map: {name}: is an integer"),
            (good.replace(b'"weight_map": {', b'"weight_map": {"' + name.encode() + b'": "x",'), f"error: {index}: weight_map: {name}: stands twice"),
    ]:
        index.write_bytes(bad)
        refuse_conversion(program, source, words)
    index.write_bytes(good)
    shard.unlink()
    refuse_conversion(program, source, f"error: {shard}: is missing; {index} says that it holds ")


class Hostile:
    """What pickle.dumps() makes into a call."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


def hostile_pickles(program):
    import make_random_checkpoint as make
    source = make_checkpoint(program, format="bin")
    path, marker = source / "pytorch_model.bin", program.folder / "executed"
    good = path.read_bytes()
    refused = "\n  expected tensors and containers only\n  only weights are read from a pickle and nothing in it is executed"
    calls = {
        "posix.system": Hostile(os.system, f"touch {marker}"),
        "builtins.eval": Hostile(eval, f"open({str(marker)!r}, 'w')"),
        "builtins.getattr": Hostile(getattr, "", "join"),
        "subprocess.Popen": Hostile(subprocess.Popen, ["touch", str(marker)]),
        "_codecs.encode": Hostile(__import__("codecs").encode, "x", "latin1"),
    }
    files = []
    for name, value in calls.items():
        for protocol in (2, 4):  # the older has the names of Python 2
            state = pickle.dumps({"model.norm.weight": value}, protocol=protocol)
            shown = name if protocol == 4 else name.replace("builtins.", "__builtin__.").replace("subprocess.", "commands.")
            files.append((state, f"error: {path}: has a pickle that refers to {shown}{refused}"))
    for module, name in [("torch", "load"), ("torch._utils", "_rebuild_tensor_v2x"), ("torch.storage", "_load_from_bytes"), ("os", "system"),
                         ("collections", "OrderedDict\0\x1b[2J"), ("x" * 100000, "y")]:
        shown = f"{module}.{name}".replace("\0", "\\x00").replace("\x1b", "\\x1b")
        files.append((b"\x80\x02" + make.pickled_global(module, name) + b".", f"error: {path}: has a pickle that refers to {shown}{refused}"))
    files += [
        (b"\x80\x02cos\nsystem", f"error: {path}: has a pickle that is cut off"),
        (b"\x80\x02i", f"error: {path}: has a pickle with opcode 0x69"),  # INST
        (b"\x80\x02\x82\x01.", f"error: {path}: has a pickle with opcode 0x82"),  # EXT1
        (b"\x80\x02X\xff\xff\xff\xffa", "has a pickle that is cut off"),
        (b"\x80\x02" + b"(" * 5000000, "has a pickle of enormous size"),
        (b"\x80\x02" + b"]" * 100000 + b"a" * 99999 + b".", f"error: {path}: "),
        (b"\x80\x02]h\x00R.", "has a damaged pickle: byte "),
        (b"\x80\x02.", "has a damaged pickle: byte "),
    ]
    system = {"protocol_version": 1001, "little_endian": True}
    for state, words in files:
        make.write_zip(path, [("data.pkl", lambda: state), ("version", lambda: b"3\n")])  # noqa: B023, used at once
        refuse_conversion(program, source, words)
        path.write_bytes(b"".join(pickle.dumps(v, protocol=2) for v in (0x1950A86A20F9469CFC6C, 1001, system)) + state)
        refuse_conversion(program, source, words)
    check(not marker.exists(), "a pickle was executed")
    for data, words in [(good[:-100], f"error: {path}: "), (good[:1000], f"error: {path}: "), (b"PK\x03\x04", f"error: {path}: "),
                        (b"not a checkpoint", f"error: {path}: "), (b"", f"error: {path}: is empty")]:
        path.write_bytes(data)
        refuse_conversion(program, source, words)


def wrong_configs(program):
    source = make_checkpoint(program)
    path, out = source / "config.json", program.folder / "refused"
    good = json.loads(path.read_text())

    def without(key):
        return {k: v for k, v in good.items() if k != key}

    huge = 1 << 62
    for config, words in [
            (b"", f"error: {path}:1:1: is not valid JSON"),
            (b'{"model_type": "llama",', f"error: {path}:1:"),
            (b"model_type: llama", f"error: {path}:1:1: is not valid JSON"),
            (b"[" * 1000000, f"error: {path}:1:"),
            (b'{"model_type": "\xff"}', f"error: {path}"),
            ([], f"error: {path}: is a list\n  expected an object"),
            (without("model_type"), f"error: {path}: has no model_type\n  expected the name of an architecture\n  say which it is with --model-type"),
            *((without(key), [f"error: {path}: ", key]) for key in ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers",
                                                                   "rms_norm_eps", "vocab_size")),
            ({**good, "hidden_size": huge}, f"error: {path}: hidden_size: is {huge}"),
            ({**good, "hidden_size": 1 << 70}, f"error: {path}: hidden_size: is "),
            ({**good, "hidden_size": 0}, f"error: {path}: hidden_size: is 0"),
            ({**good, "hidden_size": -64}, f"error: {path}: hidden_size: is -64"),
            ({**good, "hidden_size": 64.5}, f"error: {path}: hidden_size: is "),
            ({**good, "hidden_size": "64"}, f'error: {path}: hidden_size: is "64"'),
            ({**good, "num_hidden_layers": 10**9}, f"error: {path}: num_hidden_layers: is 1000000000"),
            ({**good, "num_attention_heads": 3, "head_dim": None}, f"error: {path}: "),
            ({**good, "num_key_value_heads": 3}, f"error: {path}: num_key_value_heads: is 3"),
            ({**good, "intermediate_size": huge}, f"error: {path}: intermediate_size: is {huge}"),
            ({**good, "vocab_size": huge}, f"error: {path}: vocab_size: is {huge}"),
            ({**good, "head_dim": huge}, f"error: {path}: head_dim: is {huge}"),
            ({**good, "max_position_embeddings": 0}, f"error: {path}: max_position_embeddings: is 0"),
            ({**good, "rope_theta": 0}, f"error: {path}: "),
            ({**good, "model_type": "lama"}, [f"error: {path}: unknown model type lama\n  expected one of ", "did you mean llama"]),
            ({**good, "model_type": "gptneox"}, ["unknown model type gptneox", "did you mean gpt_neox"]),
            ({**good, "model_type": 3}, f"error: {path}: model_type is an integer"),
    ]:
        path.write_bytes(config if isinstance(config, bytes) else json.dumps(config).encode())
        refuse_conversion(program, source, words)
        refuse(program, "gen_config", source, "--quantization", "q4f16_1", "--conv-template", "LM", "-o", out, words=words)
        check(not out.exists() or not list(out.iterdir()), "written nevertheless")
    path.unlink()
    refuse_conversion(program, source, f"error: {source}: has no config.json")
    refuse_conversion(program, program.folder / "absent", [f"error: {program.folder}/absent: does not exist and is no preset"])
    refuse_conversion(program, "llama2_7bb", ["does not exist and is no preset", "did you mean the preset llama2_7b"])


def wrong_chat_configs(program):
    model = make_model(program)
    path, library = model / "mlc-chat-config.json", program.folder / "lib.so"
    good = json.loads(path.read_text())

    def of_model(**changes):
        return {**good, "model_config": {k: v for k, v in {**good["model_config"], **changes}.items() if v is not None}}

    for config, words in [
            (b"", f"error: {path}:1:1: is not valid JSON"),
            ([], f"error: {path}: is a list"),
            ({}, f"error: {path}: lacks "),
            ({**good, "model_config": 3}, f"error: {path}: model_config: is an integer"),
            ({**good, "model_type": "lama"}, [f"error: {model}: unknown model type lama", "did you mean llama"]),
            ({**good, "quantization": "q4f16_3"}, [f"error: {model}: quantization q4f16_3: unknown quantization\n", "did you mean q4f16_"]),
            (of_model(hidden_size=None), f"error: {model}: lacks hidden_size\n  expected the keys of model type llama"),
            (of_model(hidden_size=1 << 62), "hidden_size"),
            (of_model(hidden_size=0), "hidden_size"),
            (of_model(num_hidden_layers=1 << 40), "num_hidden_layers"),
            (of_model(num_attention_heads=0), "num_attention_heads"),
            (of_model(vocab_size=1 << 62), "vocab_size"),
            (of_model(head_dim=-1), "head_dim"),
            (of_model(head_dim=15), "head_dim: is 15\n  expected an even number"),
            (of_model(tensor_parallel_shards=2), "tensor_parallel_shards is 2, which is not implemented"),
    ]:
        path.write_bytes(config if isinstance(config, bytes) else json.dumps(config).encode())
        refuse(program, "compile", model, "-o", library, words=words)
        check(not library.exists(), "written nevertheless")
    refuse(program, "compile", program.folder / "absent", "-o", library, words=f"error: {program.folder}/absent")


def wrong_command_lines(program):
    model, source, out = make_model(program), program.folder / "model-source", program.folder / "refused"
    convert = ["convert_weight", source, "--quantization", "q4f16_1", "-o", out]
    config = ["gen_config", source, "--quantization", "q4f16_1", "--conv-template", "LM", "-o", out]
    library = ["compile", model, "-o", out / "lib.so"]
    out.mkdir()
    for arguments, words in [
            ([], "usage: "),
            (["convert_weights"], ["unknown command convert_weights", "did you mean convert_weight"]),
            ([*convert, "--quantisation", "q4f16_1"], ["error: convert_weight: unknown option --quantisation", "did you mean --quantization"]),
            ([*convert, "--source-form", "zip"], ["--source-format: unknown format zip"]),
            ([*convert, "--model-type", "lama"], ["unknown model type lama", "did you mean llama"]),
            ([*convert, "extra"], ["unexpected argument extra"]),
            (convert[:-2], ["missing --output"]),
            ([*convert[:3], "q4f16_3", *convert[4:]], ["error: --quantization q4f16_3: unknown quantization\n", "did you mean q4f16_"]),
            ([*config[:3], "q4f16_3", *config[4:]], ["error: --quantization: unknown quantization q4f16_3\n", "did you mean q4f16_"]),
            ([*library, "--quantization", "q4f16_3"], ["error: --quantization q4f16_3: unknown quantization\n", "did you mean q4f16_"]),
            ([*library, "--model-type", "lama"], ["error: --model-type: unknown model type lama\n", "did you mean llama"]),
            ([*config, "--conv-templat"], "--conv-templat"),
            ([*config[:5], "llama2", *config[6:]], ["--conv-template: unknown conversation template llama2", "did you mean llama-2"]),
            ([*config, "--context-window-size", "many"], "--context-window-size: is many\n  expected an integer"),
            ([*config, "--context-window-size", str(1 << 70)], f"--context-window-size: is {1 << 70}"),
            ([*library, "--opt", "O4"], ["--opt: unknown preset O4", "expected one of O0, O1, O2, O3"]),
            ([*library, "--opt", "int8_activation=1"], ["--opt: unknown knob int8_activation", "did you mean int8_activations"]),
            ([*library, "--opt", "int8_activations=2"], "--opt: int8_activations is 2\n  expected 0 or 1"),
            ([*library, "--overrides", "contex_window_size=3"], ["--overrides: unknown key contex_window_size\n", "did you mean context_window_size"]),
            ([*library, "--overrides", "context_window_size"], "--overrides: has the part context_window_size\n  expected name=value"),
            ([*library, "--system-lib-prefix", "1x"], "--system-lib-prefix: is 1x"),
            ([*library, "--disable-pass", "fuse-epilogue"], ["--disable-pass: unknown pass fuse-epilogue", "did you mean fuse-epilogues"]),
    ]:
        err = program.run(*arguments, status=2)[1]
        for text in [words] if isinstance(words, str) else words:
            check(text in err, arguments, "does not say:", text, "but:", err)
    refuse(program, *library, "--device", "gpu", words=["--device: unknown device gpu\n  expected one of auto, cpu"])
    check(not list(out.iterdir()), "written nevertheless")


def wrong_token_files(program):
    _, greedy = with_library(program)
    path = program.folder / "ids.json"
    for data, words in [
            (b"[1, 2", f"error: {path}:1:"),
            (b"{}", f"error: {path}: is an object\n  expected a list of token ids"),
            (b'["a"]', f"error: {path}: holds something that is no token id"),
            (b"[]", f"error: {path}: is an empty list\n  expected a list of token ids"),
            (b"[300]", "error: tokens: hold the id 300\n  expected ids from 0 to 299"),
            (b"[-1]", f"error: {path}: holds something that is no token id"),
            (b"[4294967296]", f"error: {path}: holds something that is no token id"),
            (None, f"error: {path}: cannot open: No such file or directory"),
    ]:
        if data is None:
            path.unlink()
        else:
            path.write_bytes(data)
        refuse(program, *greedy, words=words)


def outputs(program, model):
    """Commands that write, with the place of their output to be appended."""
    source = program.folder / "model-source"
    return [["convert_weight", source, "--quantization", "q4f16_1", "-o"],
            ["gen_config", source, "--quantization", "q4f16_1", "--conv-template", "LM", "-o"],
            ["compile", model, "-o"]]


def places_that_cannot_be_written(program):
    model = make_model(program)
    file = program.folder / "file"
    file.write_text("text")
    convert, config, library = outputs(program, model)
    for command in (convert, config):
        refuse(program, *command, file, words=f"error: {file}: cannot ")
        refuse(program, *command, file / "folder", words=f"error: {file}")
        refuse(program, *command, "/proc/folder", words="error: /proc/folder: cannot create the directory: ")
    refuse(program, *library, file / "lib.so", words=[f"error: --output: the folder {file} does not exist"])
    refuse(program, *library, program.folder / "absent/lib.so", words=[f"error: --output: the folder {program.folder}/absent does not exist",
                                                                     f"mkdir -p {program.folder}/absent"])
    refuse(program, *library, program.folder, words=f"error: --output: {program.folder} is a directory\n  expected the name of a file")
    refuse(program, *library, "/proc/lib.so", words="error: /proc/lib.so: cannot write: ")
    check(file.read_text() == "text", "the file was changed")


def as_nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def places_without_permission(program):
    model = make_model(program)
    prepare = as_nobody if os.geteuid() == 0 else None
    if prepare:  # the program and the model have to be readable for the other user
        program.folder.chmod(0o755)
        program.path = shutil.copy(program.path, program.folder)
        try:
            subprocess.run([program.path, "--version"], preexec_fn=prepare, capture_output=True, check=True)
        except PermissionError as error:
            raise Skipped(f"{program.folder} is closed to other users") from error
    closed = program.folder / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    for command in outputs(program, model):
        place = closed / "lib.so" if command[0] == "compile" else closed
        refuse(program, *command, place, words=[f"error: {closed}", "Permission denied\n  choose a place where you may write"], prepare=prepare)
        if command[0] != "compile":
            refuse(program, *command, closed / "new", words=f"error: {closed}/new: cannot create the directory: Permission denied", prepare=prepare)
    check(not list(closed.iterdir()), "written nevertheless")
    (model / "params_shard_0.bin").chmod(0)
    program.run("compile", model, "-o", program.folder / "lib.so")
    (program.folder / "lib.so").chmod(0o755)
    (program.folder / "ids.json").write_text("[1]")
    refuse(program, "debug", "greedy", model, "--model-lib", program.folder / "lib.so", "--tokens", program.folder / "ids.json", "--max-new", 1,
           words=f"error: {model}/params_shard_0.bin: cannot open: Permission denied", prepare=prepare)


class SmallDisk:
    """A file system of 256 KiB in memory."""

    def __init__(self, program):
        self.folder = program.folder / "small"

    def __enter__(self):
        self.folder.mkdir()
        try:
            mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", self.folder], capture_output=True, text=True, check=False)
        except OSError as error:
            raise Skipped(error) from error
        if mounted.returncode != 0:
            raise Skipped(mounted.stderr.strip())
        return self.folder

    def __exit__(self, *_):
        subprocess.run(["umount", self.folder], check=True)


def full_disks(program):
    model = make_model(program, hidden=256)
    with SmallDisk(program) as disk:
        (disk / "most").write_bytes(bytes(240 << 10))
        for command in outputs(program, model):
            place = disk / "lib.so" if command[0] == "compile" else disk
            (disk / "rest").write_bytes(b"")
            if command[0] == "gen_config":  # its files are small
                (disk / "rest").write_bytes(bytes(12 << 10))
            refuse(program, *command, place, words=[f"error: {disk}/", ": cannot write: No space left on device\n  free some space or choose another output"])
            check({path.name for path in disk.iterdir()} == {"most", "rest"}, "remains:", *disk.iterdir())


def limited_file_sizes(program):
    import resource
    model = make_model(program, hidden=256)
    out = program.folder / "out"
    out.mkdir()
    for command in outputs(program, model):
        limit = 1000 if command[0] == "gen_config" else 20000
        place = out / "lib.so" if command[0] == "compile" else out
        environment = {"MLC_TEMP_DIR": str(program.folder)}
        refuse(program, *command, place, words="cannot write: File too large", environment=environment,
               prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))  # noqa: B023, used at once
        check(not list(out.iterdir()), "remains:", *out.iterdir())
    check(not list(program.folder.glob("mlc_llm-*")), "the linker's temporary folder remains")


def interrupted_outputs(program):
    """Ended at many moments, a command leaves all of its output or none, and what was there before."""
    model = make_model(program, hidden=256, intermediate=704, vocab=20000)
    temporary = program.folder / "temporary"
    temporary.mkdir()
    # Without a cache `compile` takes long enough to be interrupted.
    environment = program.environment = {**program.environment, "MLC_TEMP_DIR": str(temporary), "MLC_OBJECT_CACHE": "OFF"}
    for command in outputs(program, model):
        out = program.folder / f"out-{command[0]}"
        out.mkdir()
        place = out / "lib.so" if command[0] == "compile" else out
        begin = time.monotonic()
        program.run(*command, place)
        whole_seconds = time.monotonic() - begin
        whole = {path.name: path.read_bytes() for path in out.iterdir()}
        interrupted = 0
        for number in range(24):
            had_before = number % 2 == 0
            for path in out.iterdir():
                if not had_before:
                    path.unlink()
            process = subprocess.Popen([program.path, *map(str, command), place], env=environment, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            time.sleep(whole_seconds * (number + 1) / 24)
            wanted = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP][number % 3]
            process.send_signal(wanted)
            status = process.wait(timeout=60)
            check(status in (0, -wanted), command[0], "ended with", status)
            interrupted += status != 0
            found = {path.name: path.read_bytes() for path in out.iterdir()}
            check(set(found) <= set(whole), command[0], "leaves", sorted(set(found) - set(whole)))
            wrong = [name for name, data in found.items() if data != whole[name]]
            check(not wrong, command[0], "leaves half of", wrong)
            complete = set(found) == set(whole)
            check(complete or not (status == 0 or command[0] == "compile" and had_before), command[0], "leaves only", sorted(found))
            # The file that names the others comes last.
            check(complete or not {"tensor-cache.json", "ndarray-cache.json", "mlc-chat-config.json"} & set(found), command[0], "leaves", sorted(found))
            check(not list(temporary.iterdir()), "remains:", *temporary.iterdir())
            if not complete:
                program.run(*command, place)
        check(interrupted > 3 or command[0] == "gen_config", command[0], f"was interrupted only {interrupted} times")


def libraries_of_something_else(program):
    model, greedy = with_library(program)
    library = model / "lib.so"
    others = [
        (make_model(program, "size", hidden=128), "tensor-cache.json: tensor "),
        (make_model(program, "more-layers", layers=3), "tensor-cache.json: has the tensor model.layers.2."),
        (make_model(program, "fewer-layers", layers=1), "tensor-cache.json: has no tensor model.layers.1."),
        (make_model(program, "gpt_neox", architecture="gpt_neox"), "tensor-cache.json: has "),
        # q3f16_1 has tensors of the same shapes here.
        *((make_model(program, name, quantization=name), f"mlc-chat-config.json: quantization: is {name}\n  expected q4f16_1, as ")
          for name in ("q3f16_1", "q4f32_1", "q0f16")),
    ]
    for other, words in others:
        refuse(program, "debug", "greedy", other, *greedy[3:], words=[f"error: {other}/{words}", str(library), "is the library for "])

    good = library.read_bytes()
    abi = 2  # MLC_MODEL_LIBRARY_ABI
    magic = struct.pack("<QQ", 0x31304C444D434C4D, abi)  # MLC_MODEL_LIBRARY_MAGIC
    check(good.count(magic) == 1, "formats/model_library.h has another magic or ABI: change it here")
    size, at = len(good), good.index(magic)
    refuse_all(program, library, good, [
        (good.replace(magic, magic[:8] + struct.pack("<Q", abi - 1)), [f"error: {library}: has the library interface {abi - 1}\n  expected {abi}", "compile the library again"]),
        (good.replace(magic, magic[:8] + struct.pack("<Q", abi + 1)), [f"error: {library}: has the library interface {abi + 1}\n  expected {abi}", "use a newer mlc_llm"]),
        (good[:at] + b"X" + good[at + 1:], f"error: {library}: is no model library"),
        (good.replace(b"mlc_llm_model_library", b"mlc_llm_other_library"), f"error: {library}: "),
        (good[:-1], [f"error: {library}: has ", "as its headers say\n  the file is cut off or damaged"]),
        (good[:size // 2], "the file is cut off or damaged"),
        (good[:1000], "the file is cut off or damaged"),
        (good[:10], f"error: {library}: cannot be loaded: "),
        (b"", f"error: {library}: cannot be loaded: "),
        (b"no library", f"error: {library}: cannot be loaded: "),
        (None, f"error: {library}: does not exist\n  expected a model library"),
    ], *greedy)
    other = "aarch64" if os.uname().machine == "x86_64" else "x86_64"
    program.run("compile", model, "--host", f"{other}-linux-gnu", "-o", library)
    refuse(program, *greedy, words=f"error: {library}: was compiled for {other}\n  expected {os.uname().machine}")
    maths = next((path for path in pathlib.Path("/lib").glob(f"{os.uname().machine}-linux-gnu/libm.so.6")), None)
    if maths is not None:  # a shared library, but no model
        refuse(program, *greedy[:4], maths, *greedy[5:], words=f"error: {maths}: is no model library: it has no symbol mlc_llm_model_library")


def libraries_of_a_better_cpu(program):
    if os.uname().machine != "x86_64":
        raise Skipped("the levels are those of x86-64")
    model, greedy = with_library(program)
    library = model / "lib.so"
    program.run("compile", model, "-o", library, environment={"MLC_CPU_LEVEL": "x86-64-v2"})
    v2 = struct.pack("<Q", 0b11111)  # bits of target/cpu_features.def
    good = library.read_bytes()
    places = [at for at in range(0, len(good) - 8, 8) if good[at:at + 8] == v2]
    refused = 0
    for at in places:  # one of them is MlcLibraryVariant::required_features
        library.write_bytes(good[:at] + struct.pack("<Q", 0b11111 | 1 << 24) + good[at + 8:])  # neon
        result = subprocess.run([program.path, *map(str, greedy)], capture_output=True, text=True, env=program.environment, check=False)
        refused += f"error: {library}: was compiled for another CPU: this one lacks neon\n  compile the library on this machine" in result.stderr
    check(refused == 1, f"{refused} of {len(places)}")
    refuse(program, "compile", model, "-o", library, environment={"MLC_CPU_LEVEL": "armv8"}, words="MLC_CPU_LEVEL: is armv8, which this CPU lacks")
    refuse(program, "compile", model, "-o", library, environment={"MLC_CPU_LEVEL": "x86-64-v5"},
           words=["MLC_CPU_LEVEL: unknown CPU level x86-64-v5\n  expected one of x86-64, ", "did you mean x86-64-v"])


if __name__ == "__main__":
    main([damaged_shards, damaged_indexes, damaged_safetensors, damaged_checkpoint_indexes, hostile_pickles, wrong_configs,
          wrong_chat_configs, wrong_command_lines, wrong_token_files, places_that_cannot_be_written, places_without_permission,
          full_disks, limited_file_sizes, interrupted_outputs, libraries_of_something_else, libraries_of_a_better_cpu], at_once=2)
