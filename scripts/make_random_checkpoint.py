#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a checkpoint of any shape with random weights, in the form of the Hugging Face hub.

    make_random_checkpoint.py DIR --hidden 2048 --layers 16 --intermediate 8192 --heads 32 --kv-heads 8 --vocab 32000
    make_random_checkpoint.py DIR --format bin --dtype bfloat16 --shards 3 --tokenizer
    make_random_checkpoint.py DIR --architecture gpt_neox --hidden 64 --heads 4

Equal arguments give equal bytes. Formats: safetensors; bin (torch.save since PyTorch 1.6, a zip archive); bin-legacy
(before, pickles and storages one behind the other). Needs numpy only. The tests import the writers from here.
"""
import argparse
import json
import pathlib
import pickle
import struct
import zipfile

import numpy

DTYPES = {  # name in config.json: bytes, name in safetensors, class of storage in PyTorch
    "float16": (2, "F16", "HalfStorage"),
    "bfloat16": (2, "BF16", "BFloat16Storage"),
    "float32": (4, "F32", "FloatStorage"),
    "float64": (8, "F64", "DoubleStorage"),
    "int64": (8, "I64", "LongStorage"),
    "int32": (4, "I32", "IntStorage"),
    "uint8": (1, "U8", "ByteStorage"),
    "bool": (1, "BOOL", "BoolStorage"),
}


def encode(values, dtype):
    """float32 values as bytes of a dtype, rounded to nearest even."""
    if dtype == "bfloat16":
        bits = values.astype(numpy.float32).view(numpy.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()
    return numpy.ascontiguousarray(values, dtype=numpy.dtype(dtype).newbyteorder("<")).tobytes()


class Tensor:
    """A name, a dtype, a shape, and a function that gives the bytes."""

    def __init__(self, name, dtype, shape, data):
        self.name, self.dtype, self.shape, self.data = name, dtype, list(shape), data
        self.bytes = int(numpy.prod(self.shape, dtype=numpy.int64)) * DTYPES[dtype][0]


def write_safetensors(path, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for tensor in tensors:
        header[tensor.name] = {"dtype": DTYPES[tensor.dtype][1], "shape": tensor.shape,
                               "data_offsets": [offset, offset + tensor.bytes]}
        offset += tensor.bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors:
            file.write(tensor.data())


# Opcodes of pickle, protocol 2, as torch.save writes them for a dict of tensors.
def pickled_text(text):
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def pickled_int(value):
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if -2**31 <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)


def pickled_tuple(items):
    return b"(" + b"".join(items) + b"t"


def pickled_global(module, name):
    return f"c{module}\n{name}\n".encode()


def pickled_tensor(key, tensor, legacy, first=0, strides=None, elements=None):
    count = int(numpy.prod(tensor.shape, dtype=numpy.int64)) if elements is None else elements
    storage = [pickled_text("storage"), pickled_global("torch", DTYPES[tensor.dtype][2]),
               pickled_text(key), pickled_text("cpu"), pickled_int(count)]
    if legacy:
        storage.append(b"N")
    if strides is None:
        strides = [int(numpy.prod(tensor.shape[i + 1:], dtype=numpy.int64))
                   for i in range(len(tensor.shape))]
    arguments = [pickled_tuple(storage) + b"Q", pickled_int(first),
                 pickled_tuple(map(pickled_int, tensor.shape)),
                 pickled_tuple(map(pickled_int, strides)), b"\x89",
                 pickled_global("collections", "OrderedDict") + b")R"]
    return pickled_global("torch._utils", "_rebuild_tensor_v2") + pickled_tuple(arguments) + b"R"


def pickled_dict(items):
    """items: pairs of a name and the pickled value."""
    body = b"".join(pickled_text(name) + value for name, value in items)
    return b"\x80\x02" + pickled_global("collections", "OrderedDict") + b")R(" + body + b"u."


def write_zip(path, entries, folder="archive"):
    """entries: pairs of a name and a function that gives the bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in entries:
            info = zipfile.ZipInfo(f"{folder}/{name}")  # the date of all is 1980
            with archive.open(info, "w", force_zip64=True) as file:
                file.write(data())


def write_bin(path, tensors):
    state = pickled_dict((t.name, pickled_tensor(str(i), t, False)) for i, t in enumerate(tensors))
    entries = [("data.pkl", lambda: state), ("byteorder", lambda: b"little")]
    entries += [(f"data/{i}", t.data) for i, t in enumerate(tensors)]
    write_zip(path, entries + [("version", lambda: b"3\n")])


def write_bin_legacy(path, tensors):
    state = pickled_dict((t.name, pickled_tensor(str(i), t, True)) for i, t in enumerate(tensors))
    system = {"protocol_version": 1001, "little_endian": True,
              "type_sizes": {"short": 2, "int": 4, "long": 4}}
    with open(path, "wb") as file:
        for value in (0x1950A86A20F9469CFC6C, 1001, system):
            file.write(pickle.dumps(value, protocol=2))
        file.write(state)
        file.write(pickle.dumps([str(i) for i in range(len(tensors))], protocol=2))
        for tensor in tensors:
            file.write(struct.pack("<q", tensor.bytes // DTYPES[tensor.dtype][0]))
            file.write(tensor.data())


def llama_shapes(args):
    hidden, inner, kv = args.hidden, args.intermediate, args.kv_heads * args.head_dim
    q = args.heads * args.head_dim
    shapes = {"model.embed_tokens.weight": [args.vocab, hidden], "model.norm.weight": [hidden]}
    if not args.tied:
        shapes["lm_head.weight"] = [args.vocab, hidden]
    for i in range(args.layers):
        layer = f"model.layers.{i}."
        for name, shape in {"self_attn.q_proj": [q, hidden], "self_attn.k_proj": [kv, hidden],
                            "self_attn.v_proj": [kv, hidden], "self_attn.o_proj": [hidden, q],
                            "mlp.gate_proj": [inner, hidden], "mlp.up_proj": [inner, hidden],
                            "mlp.down_proj": [hidden, inner], "input_layernorm": [hidden],
                            "post_attention_layernorm": [hidden]}.items():
            shapes[f"{layer}{name}.weight"] = shape
    return shapes


def gpt_neox_shapes(args):
    hidden, inner = args.hidden, args.intermediate
    shapes = {"gpt_neox.embed_in.weight": [args.vocab, hidden]}
    if not args.tied:
        shapes["embed_out.weight"] = [args.vocab, hidden]
    with_bias = {"gpt_neox.final_layer_norm": [hidden]}
    for i in range(args.layers):
        layer = f"gpt_neox.layers.{i}."
        for name, shape in {"attention.query_key_value": [3 * hidden, hidden],
                            "attention.dense": [hidden, hidden],
                            "mlp.dense_h_to_4h": [inner, hidden],
                            "mlp.dense_4h_to_h": [hidden, inner], "input_layernorm": [hidden],
                            "post_attention_layernorm": [hidden]}.items():
            with_bias[layer + name] = shape
    for name, shape in with_bias.items():
        shapes[f"{name}.weight"] = shape
        shapes[f"{name}.bias"] = shape[:1]
    return shapes


def random_tensors(args):
    shapes = {"llama": llama_shapes, "gpt_neox": gpt_neox_shapes}[args.architecture](args)

    def data(number, name, shape):
        def make():
            random = numpy.random.default_rng([args.seed, number])
            values = random.standard_normal(int(numpy.prod(shape)), dtype=numpy.float32)
            values *= numpy.float32(0.02)
            if len(shape) == 1 and name.endswith("weight"):  # a norm's
                values += 1
            return encode(values, args.dtype)
        return make

    return [Tensor(name, args.dtype, shapes[name], data(number, name, shapes[name]))
            for number, name in enumerate(sorted(shapes))]


def write_config(directory, args):
    config = {
        "llama": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
                  "num_key_value_heads": args.kv_heads, "head_dim": args.head_dim,
                  "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "bos_token_id": 1, "eos_token_id": 2},
        "gpt_neox": {"architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox",
                     "hidden_act": "gelu", "layer_norm_eps": 1e-05, "rotary_pct": 1.0,
                     "rotary_emb_base": 10000, "use_parallel_residual": False, "bos_token_id": 0,
                     "eos_token_id": 0},  # as RedPajama-INCITE has it
    }[args.architecture]
    config |= {"hidden_size": args.hidden, "intermediate_size": args.intermediate,
               "num_attention_heads": args.heads, "num_hidden_layers": args.layers,
               "vocab_size": args.vocab, "max_position_embeddings": args.context,
               "tie_word_embeddings": args.tied, "torch_dtype": args.dtype}
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def write_tokenizer(directory):
    """A byte-level tokenizer whose ids are the bytes."""
    printable = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b]
    others = [b for b in range(256) if b not in printable]
    vocab = {chr(b if b in printable else 256 + others.index(b)): b for b in range(256)}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
                 "normalizer": None, "pre_tokenizer": level, "post_processor": None, "decoder": level,
                 "model": {"type": "BPE", "dropout": None, "unk_token": None,
                           "continuing_subword_prefix": None, "end_of_word_suffix": None,
                           "fuse_unk": False, "byte_fallback": False, "vocab": vocab, "merges": []}}
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, indent=1))
    (directory / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 4096}) + "\n")


def write_checkpoint(directory, args):
    directory.mkdir(parents=True, exist_ok=True)
    write, stem, extension = {
        "safetensors": (write_safetensors, "model", "safetensors"),
        "bin": (write_bin, "pytorch_model", "bin"),
        "bin-legacy": (write_bin_legacy, "pytorch_model", "bin"),
    }[args.format]
    tensors = random_tensors(args)
    if args.shards == 1:
        write(directory / f"{stem}.{extension}", tensors)
    else:
        weight_map = {}
        for i in range(args.shards):
            name = f"{stem}-{i + 1:05d}-of-{args.shards:05d}.{extension}"
            part = tensors[len(tensors) * i // args.shards:len(tensors) * (i + 1) // args.shards]
            write(directory / name, part)
            weight_map.update((tensor.name, name) for tensor in part)
        index = {"metadata": {"total_size": sum(t.bytes for t in tensors)}, "weight_map": weight_map}
        (directory / f"{stem}.{extension}.index.json").write_text(json.dumps(index, indent=2) + "\n")
    write_config(directory, args)
    if args.tokenizer:
        write_tokenizer(directory)
    count = sum(t.bytes for t in tensors) // DTYPES[args.dtype][0]
    print(f"{directory}: {len(tensors)} tensors, {count:,} parameters")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("directory", type=pathlib.Path)
    for name, default in {"hidden": 256, "intermediate": 704, "layers": 2, "heads": 8, "kv-heads": 4,
                          "vocab": 512, "context": 2048, "shards": 1, "seed": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--architecture", choices=["llama", "gpt_neox"], default="llama")
    parser.add_argument("--head-dim", type=int, help="of llama; default: hidden / heads")
    parser.add_argument("--dtype", choices=["float16", "bfloat16", "float32"], default="float16")
    parser.add_argument("--format", choices=["safetensors", "bin", "bin-legacy"], default="safetensors")
    parser.add_argument("--tied", action="store_true", help="no lm_head")
    parser.add_argument("--tokenizer", action="store_true", help="also a byte-level tokenizer.json")
    args = parser.parse_args()
    args.head_dim = args.head_dim or args.hidden // args.heads
    write_checkpoint(args.directory, args)


if __name__ == "__main__":
    main()
