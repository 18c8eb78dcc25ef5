#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mlc_llm chat without a terminal: every line of standard input is a turn."""
import json
import re

from support.tiny_model import check, main, make_model


def answers_lines_and_repeats_itself_with_a_seed(program):
    model = make_model(program)
    program.run("compile", model, "-o", model / "lib.so")
    chat = ["chat", model, "--model-lib", model / "lib.so", "--max-tokens", 20]
    greedy, log = program.run(*chat, "--temperature", 0, text="hello\nagain\n")
    check(greedy.count("\n") >= 2, "an answer for each line", repr(greedy))
    check(log.count("[output truncated after 20 tokens") == 2, log)
    check(greedy == program.run(*chat, "--temperature", 0, text="hello\nagain\n")[0], "greedy answers differ")
    one = program.run(*chat, "--seed", 1, text="hello\n")[0]
    check(one == program.run(*chat, "--seed", 1, "--threads", 1, text="hello\n")[0], "equal seeds, other text")
    check(one != program.run(*chat, "--seed", 2, text="hello\n")[0], "other seeds, equal text")
    check(program.run(*chat, text="\n  \n")[0] == "", "empty lines are no turns")


def a_turn_sees_the_turns_before_it(program):
    model = make_model(program)
    chat = ["chat", model, "--temperature", 0, "--max-tokens", 20]
    both = program.run(*chat, text="first\nsecond\n")[0]
    alone = program.run(*chat, text="second\n")[0]
    reset = program.run(*chat, text="first\n/reset\nsecond\n")[0]
    check(not both.endswith(alone), "the history changes nothing")
    check(reset.endswith(alone), "after /reset the history is still there", repr(reset), repr(alone))


def stop_strings_end_an_answer_and_are_not_shown(program):
    model = make_model(program)
    chat = ["chat", model, "--seed", 3, "--max-tokens", 100]
    whole = program.run(*chat, text="hello\n")[0][:-1]
    letters = [whole[i:i + 2] for i in range(len(whole) - 1)]
    stop = next(pair for pair in letters if pair.isalnum() and pair.isascii() and letters.count(pair) == 1)
    out, log = program.run(*chat, text=f"/set stop=,{stop}\nhello\n")
    check(out == whole[:whole.find(stop)] + "\n", repr(out), repr(whole), repr(stop))
    check("truncated" not in log, log)


def commands(program):
    model = make_model(program)
    chat = ["chat", model, "--max-tokens", 3]
    check("prefill: N/A tok/s, decode: N/A tok/s\n" == program.run(*chat, text="/stats\n")[0], "stats before a request")
    out = program.run(*chat, text="hi\n/stats\n")[0].splitlines()[-1]
    check(out.startswith("prefill: ") and out.endswith(" tok/s") and "N/A" not in out, out)
    out = program.run(*chat, text="hi\n/metrics\n")[0]
    check("\n# TYPE prefill_tokens_sum counter\n" in out and "\ncompletion_tokens_sum 3\n" in out, out)
    out = program.run(*chat, text="/set temperature=0.5;top_p=0.25;top_k=7;min_p=0.1;max_tokens=9;seed=4;stop=a,b;presence_penalty=1;"
                      "frequency_penalty=-1;repetition_penalty=1.5\n/set\n")[0]
    check(out == "temperature=0.5;top_p=0.25;top_k=7;min_p=0.1;repetition_penalty=1.5;presence_penalty=1.0;frequency_penalty=-1.0;"
          "max_tokens=9;seed=4;stop=a,b\n", out)
    help_text = program.run(*chat, text="/help\n")[0]
    for name in ("/help", "/exit", "/stats", "/metrics", "/reset", "/save", "/load", "/set", "/reload"):
        check(name in help_text, help_text)
    check(program.run(*chat, text="/exit\nhi\n")[0] == "", "went on after /exit")
    other = make_model(program, "other", seed=5)
    out = program.run(*chat, "--temperature", 0, text=f"hi\n/reload {other}\nhi\n/reload\nhi\n")[0]
    check(out.endswith(2 * program.run("chat", other, "--max-tokens", 3, "--temperature", 0, text="hi\n")[0]), repr(out))


def a_conversation_is_saved_and_gone_on_with(program):
    model = make_model(program)
    chat = ["chat", model, "--temperature", 0, "--max-tokens", 8]
    file = program.folder / "talk.json"
    whole = program.run(*chat, "--system", "be brief", text="first\nsecond\n")[0]
    program.run(*chat, "--system", "be brief", text=f"first\n/save {file}\n")
    messages = json.loads(file.read_text(encoding="utf-8"))
    check([message["role"] for message in messages] == ["system", "user", "assistant"], messages)
    check(messages[0]["content"] == "be brief" and messages[1]["content"] == "first", messages)
    # The answers are random bytes: what is no text was saved as U+FFFD, so only a clean one gives the same prompt.
    messages[2]["content"] = "an answer"
    for form in (messages, {"messages": messages}):
        file.write_text(json.dumps(form))
        out, log = program.run(*chat, text=f"/load {file}\nsecond\n/save {file}\n")
        check("[1 turn read from " in log and "[2 turns written to " in log, log)
        again = json.loads(file.read_text(encoding="utf-8"))
        check(again[:3] == messages and again[3]["content"] == "second", again)
    other = program.run(*chat, text=f"second\n")[0]
    check(out != other and whole.count("\n") >= 2, "the loaded turns change nothing", repr(out))
    for text, message in {
            "/save": "error: /save: has no file", "/load": "error: /load: has no file",
            f"/save {file}": "error: /save: the conversation is empty",
            f"/load {program.folder}/none.json": "none.json: cannot open",
            f"/load {model}/mlc-chat-config.json": "mlc-chat-config.json: is an object without messages",
            f"hi\n/save {program.folder}/no/where.json": "no/where.json",
    }.items():
        err = program.run(*chat, text=text + "\n", status=1)[1]
        check(message in err, text, err)
    check(not list(program.folder.glob("*.tmp*")), "something half written is left")


def the_system_message_can_be_given(program):
    model = make_model(program, template="chatml")
    chat = ["chat", model, "--temperature", 0, "--max-tokens", 20]
    plain = program.run(*chat, text="hello\n")[0]
    check(plain != program.run(*chat, "--system", "Answer in verse.", text="hello\n")[0], "--system changes nothing")


def stats_come_after_each_answer(program):
    model = make_model(program)
    log = program.run("chat", model, "--stats", "--max-tokens", 3, text="hi\nho\n")[1]
    lines = [line for line in log.splitlines() if "tok/s" in line]
    check(len(lines) == 2 and all(line.startswith("[") and " + 3 tokens, prefill: " in line for line in lines), log)
    check("\x1b" not in log, "colours where there is no terminal", repr(log))


def wrong_commands_are_named(program):
    model = make_model(program)
    for text, message in {
            "/stat": "error: unknown command /stat\n  expected one of /help, ",
            "/set temperature=hot": "error: /set: temperature is hot\n  expected a number",
            "/set top_k=1.5": "error: /set: top_k is 1.5\n  expected an integer",
            "/set top_p=2": "error: top_p: is 2.0\n  expected a number from 0 to 1",
            "/set max_tokens=0": "error: /set: max_tokens is 0\n  expected a positive number",
            "/set heat=1": "error: /set: unknown key heat\n  expected one of temperature, ",
            "/set temperature": "error: /set: has the part temperature\n  expected key=value",
            "/reload /nowhere": "error: /nowhere",
    }.items():
        err = program.run("chat", model, text=text + "\n", status=1)[1]
        check(message in err, text, err)


def long_conversations_lose_their_older_half(program):
    model = make_model(program)
    chat = ["chat", model, "--temperature", 0, "--overrides", "context_window_size=64"]
    log = program.run(*chat, text="hello\n")[1]
    check("[output truncated due to context length limit: 64 tokens" in log, log)
    # Two turns of 20 + 10 bytes fit; with the third the older half is forgotten.
    log = program.run(*chat, "--max-tokens", 10, text="a" * 20 + "\n" + "b" * 20 + "\n" + "c" * 20 + "\n")[1]
    check("its older half is forgotten]" in log, log)
    log = program.run(*chat, text="x" * 64 + "\n", status=1)[1]  # with the LM template's prefix id 65 tokens
    check("error: prompt: has 65 tokens\n  expected at most 64, the context" in log, log)


def limits_may_shrink_at_run_time_and_the_rest_is_compiled(program):
    model = make_model(program)
    program.run("compile", model, "-o", model / "lib.so")
    chat = ["chat", model, "--model-lib", model / "lib.so", "--temperature", 0]
    log = program.run(*chat, "--overrides", "context_window_size=40;prefill_chunk_size=3", text="hello\n")[1]
    check("context length limit: 40 tokens" in log, log)
    for overrides, message in {
            "context_window_size=1024": "error: --overrides: context_window_size is 1024\n  expected at most 512, as ",
            "sliding_window_size=16": "error: --overrides: sliding_window_size is 16\n  expected -1, as ",
            "kv_cache_dtype=f32": "error: --overrides: kv_cache_dtype is compiled into ",
            "opt=O0": "error: --opt: does not go with --model-lib",
    }.items():
        err = program.run(*chat, "--overrides", overrides, text="hello\n", status=1)[1]
        check(message in err, overrides, err)


def libraries_are_compiled_into_the_cache(program):
    model = make_model(program)
    chat = ["chat", model, "--temperature", 0, "--max-tokens", 4]
    cache = program.folder / "home/model_lib"
    err = program.run(*chat, text="hi\n", status=1, environment={"MLC_JIT_POLICY": "READONLY"})[1]
    check("MLC_JIT_POLICY is READONLY: no library is compiled" in err, err)
    err = program.run(*chat, text="hi\n", status=1, environment={"MLC_JIT_POLICY": "OFF"})[1]
    check("MLC_JIT_POLICY: is OFF" in err, err)
    err = program.run(*chat, text="hi\n", status=1, environment={"MLC_JIT_POLICY": "SOMETIMES"})[1]
    check("MLC_JIT_POLICY: unknown policy SOMETIMES\n  expected one of ON, OFF, REDO, READONLY" in err, err)
    check(not cache.exists(), "something was made")

    out, log = program.run(*chat, text="hi\n")
    files = list(cache.iterdir())
    check(len(files) == 1 and files[0].suffix == ".so" and f"library: compiling {files[0]}" in log, files, log)
    check(program.run(*chat, text="hi\n") == (out, f"library: {files[0]}\n" + log.split("\n", 2)[2]), "the second run")
    check("compiling" not in program.run(*chat, text="hi\n", environment={"MLC_JIT_POLICY": "READONLY"})[1])
    check("compiling" in program.run(*chat, text="hi\n", environment={"MLC_JIT_POLICY": "REDO"})[1])
    check(list(cache.iterdir()) == files, "REDO uses the same name")
    program.run(*chat, "--overrides", "context_window_size=100", text="hi\n")
    program.run(*chat, "--opt", "O0", text="hi\n")
    program.run(*chat, "--overrides", "opt=O0", text="hi\n")
    program.run(*chat, text="hi\n", environment={"MLC_CPU_LEVEL": "x86-64-v2"})
    check(len(list(cache.iterdir())) == 4, "a library for each of overrides, opt and CPU", list(cache.iterdir()))
    files[0].write_bytes(b"no library")
    log = program.run(*chat, text="hi\n")[1]
    check("cannot be loaded" in log and "compiling" in log, log)

    home = {"MLC_LLM_HOME": "", "XDG_CACHE_HOME": str(program.folder / "xdg"), "HOME": str(program.folder)}
    program.run(*chat, text="hi\n", environment=home)
    check(len(list((program.folder / "xdg/mlc_llm/model_lib").iterdir())) == 1)
    program.run(*chat, text="hi\n", environment={**home, "XDG_CACHE_HOME": ""})
    check(len(list((program.folder / ".cache/mlc_llm/model_lib").iterdir())) == 1)


def damaged_weights_are_found_by_verify(program):
    model = make_model(program)
    chat = ["chat", model, "--max-tokens", 2, "--verify"]
    program.run(*chat, text="hi\n")
    shard = model / "params_shard_0.bin"
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(data)
    err = program.run(*chat, text="hi\n", status=1)[1]
    check("has the md5 sum" in err, err)


def wrong_arguments_are_named(program):
    model = make_model(program)
    for arguments, status, message in [
            (["/nowhere"], 1, "/nowhere"),
            (["HF://someone/model"], 1, "models are not downloaded by this version"),
            ([model, "--model-lib", "/nowhere/lib.so"], 1, "/nowhere/lib.so: does not exist"),
            ([model, "--device", "cuda"], 1, "--device: cuda is not implemented yet"),
            ([model, "--temperature", "warm"], 2, "--temperature: is warm\n  expected a number"),
            ([model, "--temperature", "-1"], 1, "temperature: is -1.0"),
            ([model, "--seed", "x"], 2, "--seed: is x\n  expected an integer"),
            ([model, "--threads", "-1"], 2, "--threads: is -1"),
            ([], 2, "missing MODEL"),
    ]:
        err = program.run("chat", *arguments, status=status)[1]
        check(message in err, arguments, err)
    config = json.loads((model / "mlc-chat-config.json").read_text())
    config["tensor_parallel_shards"] = 2
    (model / "mlc-chat-config.json").write_text(json.dumps(config))
    err = program.run("chat", model, status=1)[1]
    check("tensor_parallel_shards is 2, which is not implemented" in err, err)


SCHEMA = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["a", "b \"quoted\"", 3, None]},
        "count": {"type": "integer", "minimum": -5, "maximum": 120},
        "share": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
        "name": {"type": "string", "minLength": 1, "maxLength": 12},
        "code": {"type": "string", "pattern": "^[A-Z]{2}-\\d+$|^none$"},
        "list": {"type": "array", "items": {"anyOf": [{"type": "boolean"}, {"$ref": "#/$defs/pair"}]}, "minItems": 1, "maxItems": 3},
    },
    "required": ["kind", "count", "list"],
    "additionalProperties": False,
    "$defs": {"pair": {"type": "array", "prefixItems": [{"type": "null"}, {"type": "integer"}], "items": False, "minItems": 2}},
}


def check_against_schema(value):
    """What SCHEMA says, in Python."""
    check(isinstance(value, dict) and {"kind", "count", "list"} <= value.keys() <= SCHEMA["properties"].keys(), value)
    check(any(value["kind"] == v and type(value["kind"]) is type(v) for v in SCHEMA["properties"]["kind"]["enum"]), value)
    check(type(value["count"]) is int and -5 <= value["count"] <= 120, value)
    check(type(value.get("share", 0)) in (int, float) and 0 <= value.get("share", 0) < 1, value)
    check(isinstance(value.get("name", "x"), str) and 1 <= len(value.get("name", "x")) <= 12, value)
    check(re.fullmatch(r"[A-Z]{2}-[0-9]+|none", value.get("code", "none")), value)
    check(isinstance(value["list"], list) and 1 <= len(value["list"]) <= 3, value)
    for item in value["list"]:
        pair = isinstance(item, list) and len(item) == 2 and item[0] is None and type(item[1]) is int
        check(isinstance(item, bool) or pair, value)


def answers_have_the_form_that_was_asked_for(program):
    model = make_model(program, context=2048)
    program.run("compile", model, "-o", model / "lib.so")
    chat = ["chat", model, "--model-lib", model / "lib.so", "--temperature", 1, "--overrides", "context_window_size=2000"]
    schema = program.folder / "schema.json"
    schema.write_text(json.dumps(SCHEMA))
    whole = 0
    for seed, argument in enumerate([schema, json.dumps(SCHEMA), schema, schema]):
        # /reset, so that every turn begins with an empty context.
        turns = 10
        text = "".join(f"/set seed={100 * seed + i}\nhi\n/reset\n" for i in range(turns))
        out, log = program.run(*chat, "--json-schema", argument, "--max-tokens", 1000, text=text)
        check("error" not in log, log)
        decoder, at, count = json.JSONDecoder(), 0, 0
        while at < len(out):
            value, end = decoder.raw_decode(out, at)
            check_against_schema(value)
            check(out[end] == "\n", "text after the JSON", out[at:end + 20])
            at, count = end + 1, count + 1
        whole += count
    check(whole == 4 * 10, "every answer is whole", whole)

    grammar = program.folder / "sum.ebnf"
    grammar.write_text('root ::= [1-9] ("+" [1-9]){0,3} "=" [0-9]{1,2}\n')
    for seed in range(5):
        out = program.run(*chat, "--seed", seed, "--grammar", grammar, text="hi\n")[0]
        check(re.fullmatch(r"[1-9](\+[1-9]){0,3}=[0-9]{1,2}\n", out), repr(out))
        out = program.run(*chat, "--seed", seed, "--regex", "(yes|no), [a-f]{3}!", text="hi\n")[0]
        check(re.fullmatch(r"(yes|no), [a-f]{3}!\n", out), repr(out))
        out, log = program.run(*chat, "--seed", seed, "--response-format", "json_object", "--max-tokens", 400, text="hi\n")
        check(out.startswith("{"), out)
        if "truncated" not in log:
            check(isinstance(json.loads(out), dict), out)


def forms_that_cannot_be_are_named(program):
    model = make_model(program)
    for arguments, status, message in [
            (["--json-schema", '{"contains": {}}'], 1, "has the keyword contains, which is not supported"),
            (["--json-schema", '{"type": "array", "minItems": 2, "maxItems": 1}'], 1, "minItems 2 is above maxItems 1) cannot be met"),
            (["--json-schema", '{"type": '], 1, "json_schema"),
            (["--json-schema", "/nowhere.json"], 1, "/nowhere.json"),
            (["--grammar", "/nowhere.ebnf"], 1, "/nowhere.ebnf"),
            (["--regex", "a(?=b)"], 1, "lookaround, which is not supported"),
            (["--regex", "a", "--response-format", "json_object"], 2, "--response-format: stands beside --regex"),
            (["--response-format", "yaml"], 2, "--response-format: unknown form yaml"),
    ]:
        err = program.run("chat", model, *arguments, text="hi\n", status=status)[1]
        check(message in err, arguments, err)


if __name__ == "__main__":
    main([answers_lines_and_repeats_itself_with_a_seed, a_turn_sees_the_turns_before_it, stop_strings_end_an_answer_and_are_not_shown,
          commands, a_conversation_is_saved_and_gone_on_with, the_system_message_can_be_given, stats_come_after_each_answer,
          wrong_commands_are_named, long_conversations_lose_their_older_half,
          limits_may_shrink_at_run_time_and_the_rest_is_compiled, libraries_are_compiled_into_the_cache,
          damaged_weights_are_found_by_verify, wrong_arguments_are_named, answers_have_the_form_that_was_asked_for,
          forms_that_cannot_be_are_named])
