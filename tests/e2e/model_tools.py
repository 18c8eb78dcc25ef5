#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mlc_llm bench, debug perplexity, model_metadata and check_device on a tiny model."""
import hashlib
import json
import math
import struct

from support.tiny_model import check, demo_checkpoint, main, make_model, shared_path


def with_library(program, **shape):
    model = make_model(program, **shape)
    library = model / "lib.so"
    program.run("compile", model, "-o", library)
    return model, library


def bench_prints_its_figures(program):
    model, library = with_library(program)
    bench = ["bench", model, "--model-lib", library, "--prompt", 20, "--generate", 5, "--repeat", 3]
    figures = json.loads(program.run(*bench, "--json")[0])
    for phase in ("prefill", "decode"):
        check(set(figures[phase]) == {"median", "min", "max"}, figures)
        check(0 < figures[phase]["min"] <= figures[phase]["median"] <= figures[phase]["max"], figures)
    for key in ("ttft_ms", "load_ms", "read_bandwidth_bytes_per_s"):
        check(figures[key] > 0, key, figures)
    check(1 << 20 < figures["peak_memory_bytes"] < 512 << 20, "the buffer that measures the bandwidth must not count", figures)
    share = figures["decode"]["median"] * figures["weight_bytes_per_step"] / figures["read_bandwidth_bytes_per_s"]
    check(abs(share - figures["bandwidth_share"]) < 1e-9, figures)
    # The embedding table is no matrix of this model: 300 ids of 64 values in 4 bits, a scale of 2 bytes for 32 of them.
    parameters = json.loads(program.run("model_metadata", library, "--memory-only")[0])["parameter_bytes"]
    check(parameters - figures["weight_bytes_per_step"] == 300 * (64 // 2 + 2 * 2), parameters, figures)

    batch = json.loads(program.run(*bench, "--json", "--batch", 3, "--threads", 1)[0])
    check(batch["batch"] == 3 and batch["threads"] == 1, batch)
    share = batch["decode"]["median"] / 3 * batch["weight_bytes_per_step"] / batch["read_bandwidth_bytes_per_s"]
    check(abs(share - batch["bandwidth_share"]) < 1e-9, batch)
    text = program.run(*bench, "--profile")[0]
    for word in ("prefill: ", "decode: ", "time to first token: ", "load: ", "peak memory: ", " ms in kernels", "embedding_64_"):
        check(word in text, word, text)


def perplexity_of_a_text_is_that_of_the_reference_ids(program):
    """Of a conformance model, from text through our tokenizer, and from the ids that the reference gives for the text."""
    source, tokenizer = shared_path("conformance/models/llama"), shared_path("conformance/tokenizers/tiny_bpe_bytelevel")
    texts = json.loads((tokenizer.parent / "strings.json").read_text(encoding="utf-8"))
    cases = json.loads((tokenizer / "cases.json").read_text())["encode"]
    model, library = program.folder / "conformance", program.folder / "conformance/lib.so"
    program.run("convert_weight", source, "--quantization", "q0f32", "-o", model)
    program.run("gen_config", source, "--quantization", "q0f32", "--conv-template", "LM", "-o", model)
    program.run("compile", model, "-o", library)
    compared = 0
    for text, case in list(zip(texts, cases))[::9]:
        if not 20 <= len(case["ids"]) <= 400:
            continue
        (program.folder / "text").write_bytes(text.encode())
        (program.folder / "ids.json").write_text(json.dumps(case["ids"]))
        command = ["debug", "perplexity", model, "--model-lib", library, "--window", 20]
        of_text = program.run(*command, "--text", program.folder / "text")[0]
        check(of_text == program.run(*command, "--ids", program.folder / "ids.json")[0], text, of_text)
        compared += 1
    check(compared > 5, compared)
    err = program.run(*command, status=2)[1]
    check("--text: is missing\n  expected either --text or --ids" in err, err)
    err = program.run(*command, "--text", "x", "--ids", "y", status=2)[1]
    check("--text: does not go with --ids" in err, err)


def perplexity_of_a_book_is_that_of_the_reference_ids(program):
    """Of a trained model with its own tokenizer. The ids that the reference tokenizer gives for the text are known by their hash: where
    ours have it, they are the same. Text and ids give the same number, and it is the reference model's: the weights, 4 bits in the
    checkpoint, are kept as float16, since to quantize them once more would change what is compared."""
    checkpoint, text = demo_checkpoint(), shared_path("conformance/text/factbook.txt")
    reference = json.loads((text.parent / "smollm2-135m-instruct.q4_1-dequantized.json").read_text())
    model, library = program.folder / "model", program.folder / "model/lib.so"
    program.run("convert_weight", checkpoint, "--quantization", "q0f16", "-o", model)
    program.run("gen_config", checkpoint, "--quantization", "q0f16", "--conv-template", "chatml", "-o", model)
    program.run("compile", model, "-o", library)
    (program.folder / "strings.json").write_text(json.dumps([text.read_text(encoding="utf-8")]))
    program.run("debug", "tokenize", model, "--input", program.folder / "strings.json", "--output", program.folder / "lists.json")
    ids = json.loads((program.folder / "lists.json").read_text())[0][:reference["tokens"]]
    check(ids[:16] == reference["first_ids"], ids[:16])
    check(hashlib.sha256(" ".join(map(str, ids)).encode()).hexdigest() == reference["ids_sha256"], "other ids than the reference's")
    (program.folder / "ids.json").write_text(json.dumps(ids))
    windows, window = 4, reference["window"]
    command = ["debug", "perplexity", model, "--model-lib", library, "--window", window, "--tokens", windows * window]
    of_text = program.run(*command, "--text", text)[0]
    check(of_text == program.run(*command, "--ids", program.folder / "ids.json")[0], of_text)
    expected = math.exp(sum(reference["window_nll"][:windows]) / windows)
    check(abs(json.loads(of_text)["perplexity"] - expected) < 0.05, of_text, expected)


def a_tied_table_counts(program):
    model, _ = with_library(program, layers=1)
    tied_model = make_model(program, "tied", layers=1)
    source = program.folder / "tied-source"
    config = json.loads((source / "config.json").read_text())
    config["tie_word_embeddings"] = True
    (source / "config.json").write_text(json.dumps(config))
    program.run("gen_config", source, "--quantization", "q4f16_1", "--conv-template", "LM", "-o", tied_model)
    program.run("convert_weight", source, "--quantization", "q4f16_1", "-o", tied_model)
    program.run("compile", tied_model, "-o", tied_model / "lib.so")
    figures = [json.loads(program.run("bench", m, "--model-lib", m / "lib.so", "--prompt", 3, "--generate", 1, "--repeat", 1, "--json")[0])
               for m in (model, tied_model)]
    check(figures[0]["weight_bytes_per_step"] == figures[1]["weight_bytes_per_step"], figures)


def bench_refuses_wrong_numbers(program):
    model, library = with_library(program)
    for arguments, message in {
            ("--prompt", "0"): "--prompt: is 0\n  expected a positive number",
            ("--batch", "-1"): "--batch: is -1",
            ("--repeat", "x"): "--repeat: is x\n  expected an integer",
            ("--prompt", "500", "--generate", "13"): "need a context of 513 tokens\n  expected at most 512",
    }.items():
        err = program.run("bench", model, "--model-lib", library, *arguments, status=2)[1]
        check(message in err, arguments, err)


def read_npy(path):
    data = path.read_bytes()
    header = struct.unpack("<H", data[8:10])[0]
    shape = eval(data[10:10 + header])["shape"]  # noqa: S307, our own file
    values = struct.unpack(f"<{shape[0] * shape[1]}f", data[10 + header:])
    return [values[i * shape[1]:(i + 1) * shape[1]] for i in range(shape[0])]


def perplexity_is_that_of_the_logits(program):
    model, library = with_library(program, quantization="q0f32")
    text = program.folder / "text.txt"
    text.write_bytes(bytes((i * i) % 251 for i in range(130)).replace(b"\x00", b"a").decode("latin1").encode())
    ids = [b for b in text.read_bytes()][:120]  # the tokens are the bytes
    window = 40
    nll, scored = 0, 0
    for first in range(0, 120, window):
        (program.folder / "ids.json").write_text(json.dumps(ids[first:first + window]))
        program.run("debug", "logits", model, "--model-lib", library, "--tokens", program.folder / "ids.json", "--output", program.folder / "o.npy")
        for row, following in zip(read_npy(program.folder / "o.npy"), ids[first + 1:first + window]):
            largest = max(row)
            nll += largest + math.log(sum(math.exp(x - largest) for x in row)) - row[following]
            scored += 1
    out = program.run("debug", "perplexity", model, "--model-lib", library, "--text", text, "--tokens", 120, "--window", window)[0]
    result = json.loads(out)
    check(list(result) == ["scored", "nll", "perplexity"], out)
    check(result["scored"] == scored == 117, result)
    check(abs(result["nll"] - nll / scored) < 1e-5, result, nll / scored)
    check(abs(result["perplexity"] - math.exp(result["nll"])) < 1e-9, result)
    err = program.run("debug", "perplexity", model, "--model-lib", library, "--text", text, "--window", 500, status=1)[1]
    check("error: text: has " in err and "expected at least a window of 500" in err, err)
    err = program.run("debug", "perplexity", model, "--model-lib", library, "--text", "/nowhere", status=1)[1]
    check("/nowhere" in err, err)


def metadata_plan_and_memory(program):
    model, library = with_library(program)
    metadata = json.loads(program.run("model_metadata", library)[0])
    check(metadata["model_type"] == "llama" and metadata["quantization"] == "q4f16_1", metadata)
    check(metadata["params"][0]["name"] and metadata["context_window_size"] == 512, metadata)
    check(metadata == json.loads(program.run("model_metadata", library, "--mlc-chat-config", model)[0]))
    report = json.loads(program.run("model_metadata", library, "--memory-only")[0])
    check(report["temporary_buffer_bytes"]["prefill"] > report["temporary_buffer_bytes"]["decode"] > 0, report)
    check(report["kv_cache_bytes_per_token"] == 2 * 2 * 2 * 16 * 2, report)  # K and V, layers, heads of 16, f16
    plan = program.run("model_metadata", library, "--plan")[0]
    check(plan.startswith("vocab_size 300\n") and "\ncall " in plan, plan)
    other = make_model(program, "other", vocab=301)
    err = program.run("model_metadata", library, "--mlc-chat-config", other, status=1)[1]
    check("has vocab_size 301\n  expected 300, as " in err, err)
    err = program.run("model_metadata", library, "--plan", "--memory-only", status=2)[1]
    check("--plan: does not go with --memory-only" in err, err)
    err = program.run("model_metadata", model / "mlc-chat-config.json", status=1)[1]
    check("cannot be loaded" in err, err)


def check_device_lists_devices(program):
    check(program.run("check_device", "cpu")[0] == "check_device:0\n")
    for device in ("metal", "webgpu"):
        check(program.run("check_device", device)[0] == "check_device:\n")
    err = program.run("check_device", "gpu", status=2)[1]
    check("DEVICE: unknown device gpu\n  expected one of cpu, " in err, err)
    program.run("check_device", status=2)


if __name__ == "__main__":
    main([bench_prints_its_figures, a_tied_table_counts, bench_refuses_wrong_numbers, perplexity_is_that_of_the_logits,
          perplexity_of_a_text_is_that_of_the_reference_ids, perplexity_of_a_book_is_that_of_the_reference_ids,
          metadata_plan_and_memory, check_device_lists_devices])
