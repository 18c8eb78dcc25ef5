#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Python package as it is installed: package.py PROGRAM PYTHON [CASE...], where PYTHON is that of a virtual environment with the
wheel and nothing else. Cases run scripts in it; those that need numpy run in this Python, with the package on its path."""
import ast
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from support.tiny_model import ROOT, check, demo_model, main, make_model, shared_path  # noqa: E402

PYTHON = os.path.abspath(sys.argv.pop(2))  # its links lead out of the environment
NAME = "SmolLM2-135M-Instruct-q4f16_1"
# The two statements of the seed page, and what it shows behind them.
SEED_PAGE = '''python
>>> from mlc_llm import ChatModule
>>> cm = ChatModule(model="./dist/RedPajama-INCITE-Chat-3B-v1-q4f16_1-MLC", \\
    model_lib_path="./dist/libs/RedPajama-INCITE-Chat-3B-v1-q4f16_1-cuda.so")
>>> cm.generate("hi")
'''


class Folder:
    """A folder with dist/NAME-MLC and dist/libs/NAME-DEVICE.so, and Python in it."""

    def __init__(self, program, name=NAME, device="cpu", template="chatml", trained=None, context=512):
        self.program, self.path = program, program.folder / "work"
        (self.path / "dist/libs").mkdir(parents=True)
        self.model, self.library = self.path / f"dist/{name}-MLC", self.path / f"dist/libs/{name}-{device}.so"
        if trained is not None:
            self.model.symlink_to(trained)
        else:
            self.model.symlink_to(make_model(program, template=template, context=context))
        program.run("compile", self.model, "-o", self.library)

    def python(self, script, *arguments, numpy=False, status=0):
        """Runs a script; gives (standard output, standard error)."""
        environment = dict(self.program.environment)
        environment.pop("PYTHONPATH", None)
        python = PYTHON
        if numpy:
            environment["PYTHONPATH"] = str(next(pathlib.Path(PYTHON).parents[1].glob("lib/python*/site-packages")))
            python = sys.executable
        result = subprocess.run([python, "-c", script, *map(str, arguments)], cwd=self.path, env=environment, capture_output=True, text=True,
                                timeout=300, check=False)
        check(result.returncode == status, script, f"exit status {result.returncode}", result.stdout, result.stderr)
        return result.stdout, result.stderr


def check_seed_page(folder):
    lines = [re.sub(r"^>>> ", "", line) for line in SEED_PAGE.splitlines()[1:]]
    script = "\n".join([*lines[:-1], f"answer = {lines[-1]}", "print(repr(answer))", "print(cm.stats())"])
    out = folder.python(script)[0]
    check(re.search(r"^prefill: [0-9.]+ tok/s, decode: [0-9.]+ tok/s$", out, re.M), out)
    return out


def lines_of_the_seed_page(program):
    check(SEED_PAGE in shared_path("spec/compile_model_libraries.txt").read_text(), "the page has other lines")
    check_seed_page(Folder(program, "RedPajama-INCITE-Chat-3B-v1-q4f16_1", "cuda"))


def lines_of_the_seed_page_on_a_trained_model(program):
    out = check_seed_page(Folder(program, "RedPajama-INCITE-Chat-3B-v1-q4f16_1", "cuda", trained=demo_model()))
    check(len(out.splitlines()[0]) > 4, "an empty answer", out)


def documentation(folder):
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/python.md").read_text(), re.M | re.S)
    check(len(blocks) >= 6, "examples are missing")
    return folder.python("\n".join(blocks), numpy=True)[0]


def examples_of_the_documentation(program):
    out = documentation(Folder(program))
    check("error: dist/no-such-model: does not exist\n" in out, out)


def examples_of_the_documentation_on_a_trained_model(program):
    out = documentation(Folder(program, trained=demo_model()))
    check("A prime number is" in out, out)  # greedy


def the_program_is_in_the_package(program):
    folder = Folder(program)
    script = pathlib.Path(PYTHON).parent / "mlc_llm"
    for command in ([str(script)], [PYTHON, "-m", "mlc_llm"]):
        result = subprocess.run([*command, "--version"], cwd=folder.path, capture_output=True, text=True, check=True)
        check(result.stdout == program.run("--version")[0], result.stdout)
        result = subprocess.run([*command, "chat", "/nowhere"], cwd=folder.path, capture_output=True, text=True, check=False)
        check(result.returncode == 1 and result.stderr.startswith("error: /nowhere: does not exist"), result)
    packages = subprocess.run([PYTHON, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"], capture_output=True, text=True, check=True).stdout
    names = {line.split("==")[0] for line in packages.splitlines()}
    check(names <= {"pip", "setuptools", "mlc_llm", "mlc-llm"}, "the environment is not empty", names)


def answers_are_those_of_the_program(program):
    folder = Folder(program, template="LM")
    expected = program.run("chat", folder.model, "--model-lib", folder.library, "--temperature", 0, "--max-tokens", 20, text="hello\n")[0]
    out = folder.python("""
import sys
from mlc_llm import AsyncMLCEngine, ChatModule, GenerationConfig, MLCEngine
import asyncio
config = GenerationConfig(temperature=0, max_gen_len=20)
answers = [ChatModule(sys.argv[1], model_lib_path=sys.argv[2]).generate("hello", config), ChatModule(sys.argv[1]).generate("hello", config)]
options = dict(messages=[{"role": "user", "content": "hello"}], temperature=0, max_tokens=20)
engine = MLCEngine(sys.argv[1], model_lib=sys.argv[2])
answers.append(engine.chat.completions.create(**options).choices[0].message.content)
answers.append("".join(c.choices[0].delta.content for c in engine.chat.completions.create(**options, stream=True)))
async def main():
    engine = AsyncMLCEngine(sys.argv[1], model_lib=sys.argv[2])
    for response in await asyncio.gather(*[engine.chat.completions.create(**options) for _ in range(3)]):
        answers.append(response.choices[0].message.content)
    engine.terminate()
asyncio.run(main())
sys.stdout.write(repr(answers))
""", folder.model, folder.library)[0]
    check(ast.literal_eval(out) == 7 * [expected[:-1]], out, expected)


def requests_of_asyncio_share_steps(program):
    folder = Folder(program, context=4096)
    out = folder.python("""
import asyncio, sys
from mlc_llm import AsyncMLCEngine
async def main():
    engine = AsyncMLCEngine(sys.argv[1], model_lib=sys.argv[2])
    # Long enough that the first is at work still when the last one comes.
    await asyncio.gather(*[engine.completions.create(prompt="a" * (i + 1), max_tokens=400, ignore_eos=True) for i in range(4)])
    print('{batch_size="4"}' in engine.metrics().prometheus_text())
    # A task that is cancelled takes its request along: the engine is idle, and answers the next one.
    task = asyncio.create_task(engine.completions.create(prompt="a", max_tokens=4000, ignore_eos=True))
    await asyncio.sleep(0.05)
    task.cancel()
    print((await asyncio.gather(task, return_exceptions=True))[0].__class__.__name__)
    print((await engine.completions.create(prompt="b", max_tokens=3, ignore_eos=True)).usage.completion_tokens)
    print(engine.metrics().metrics["completion_tokens_sum"] < 8 * 4000)
    engine.terminate()
asyncio.run(main())
""", folder.model, folder.library)[0]
    check(out == "True\nCancelledError\n3\nTrue\n", out)


INTERRUPT = """
import os, signal, sys, threading, time
from mlc_llm import ChatModule, GenerationConfig, MLCEngine
from mlc_llm.callback import DeltaCallback
class Interrupt(DeltaCallback):
    sent = False
    def delta_callback(self, text):
        if not self.sent:
            self.sent = True
            threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()
    def stopped_callback(self):
        print("not interrupted")
"""


def ctrl_c_ends_an_answer_and_not_the_engine(program):
    folder = Folder(program, context=4096)
    out = folder.python(INTERRUPT + """
engine = MLCEngine(sys.argv[1], model_lib=sys.argv[2])
threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    engine.completions.create(prompt="a", max_tokens=4000, n=8, ignore_eos=True)
    print("not interrupted")
except KeyboardInterrupt:
    print("interrupted")
print(engine.completions.create(prompt="a", max_tokens=4, ignore_eos=True).usage.completion_tokens)
print(engine.metrics().metrics["completion_tokens_sum"] < 8 * 4000)
cm = ChatModule(sys.argv[1], model_lib_path=sys.argv[2])
config = GenerationConfig(temperature=0, max_gen_len=5)
before = cm.generate("hi", config, stateless=True)
try:
    cm.generate("hi", GenerationConfig(temperature=0, max_gen_len=3900), progress_callback=Interrupt())
except KeyboardInterrupt:
    print("interrupted")
print(cm.generate("hi", config, stateless=True) == before)
""", folder.model, folder.library)[0]
    check(out == "interrupted\n4\nTrue\ninterrupted\nTrue\n", out)


def other_threads_run_while_a_model_computes(program):
    folder = Folder(program)
    out = folder.python("""
import sys, threading, time
from mlc_llm import MLCEngine
engine = MLCEngine(sys.argv[1], model_lib=sys.argv[2])
count, over = 0, False
def work():
    global count
    while not over:
        count += 1
thread = threading.Thread(target=work); thread.start()
engine.completions.create(prompt="a" * 400, max_tokens=100, ignore_eos=True)
over = True; thread.join()
print(count > 1000)
""", folder.model, folder.library)[0]
    check(out == "True\n", out)


def errors_are_those_of_the_command_line(program):
    folder = Folder(program)
    (folder.path / "empty").mkdir()
    out = folder.python("""
import sys
from mlc_llm import ChatConfig, ChatModule, GenerationConfig, MLCEngine, MLCUserError
model, library = sys.argv[1:]
def show(function, *arguments, **options):
    try:
        function(*arguments, **options)
        print("no error")
    except (MLCUserError, ValueError) as error:
        print(type(error).__name__, isinstance(error, FileNotFoundError), str(error))
show(ChatModule, "/nowhere")
show(ChatModule, "empty")
show(ChatModule, model, model_lib_path="/nowhere.so")
show(ChatModule, model, device="cuda")
show(ChatModule, model, chat_config=ChatConfig(opt="O9"))
show(ChatModule, "HF://some/model")
cm = ChatModule(model, model_lib_path=library)
show(cm.generate, "a" * 600)
show(cm.generate, "a", GenerationConfig(temperature=-1))
show(cm.generate, [{"role": "assistant", "content": "a"}])
show(cm.benchmark_generate, "a", -1)
engine = MLCEngine(model, model_lib=library)
create = engine.chat.completions.create
messages = [{"role": "user", "content": "hi"}]
show(create, messages=messages, temprature=1)
show(create, messages=messages, response_format={"type": "jsno_object"})
show(create, messages=messages, response_format={"type": "regex", "regex": "a("})
show(create, messages=messages, top_logprobs=2, stream=True)
show(create, messages=messages, logprobs=2)
show(create, messages=messages, max_tokens=0)
show(create, messages=messages, n=0)
embed = engine.embeddings.create
show(embed, input=[])
show(embed, input=["a", ""])
show(embed, input=[["a"]])
show(embed, input=[True])
show(embed, input="a", encoding_format="int8")
show(embed, input="a", dimensions=65)
engine.terminate()
try:
    create(messages=messages)
except Exception as error:
    print(error)
""", folder.model, folder.library)[0]
    for expected in (
            "ModelNotFoundError True error: /nowhere: does not exist\n  expected a folder with mlc-chat-config.json",
            "ModelNotFoundError True error: empty/mlc-chat-config.json: does not exist\n",
            "ModelNotFoundError True error: /nowhere.so: does not exist\n",
            "MLCUserError False error: --device: cuda is not implemented yet\n  expected cpu\n",
            "MLCUserError False error: --opt",
            "MLCUserError False error: MODEL: HF://some/model is no folder\n",
            " tokens\n  expected at most 512, the context that the model has here\n",
            "MLCUserError False error: temperature: is -1.0\n  expected a number of at least 0\n",
            "error: prompt: does not end with a message of the user\n",
            "error: generate_length: is -1\n",
            "error: request: unknown member temprature\n",
            "did you mean temperature?\n",
            "error: response_format: unknown type jsno_object\n",
            "error: regex, line 1, column 3: has a ( without its )\n",
            "error: top_logprobs: is 2 without logprobs\n",
            "error: logprobs: is an integer\n  expected true or false\n",
            "error: max_tokens: is 0\n",
            "error: n: is 0\n",
            "error: input: is empty\n  expected at least one text",
            "error: input: text 1 is empty\n  expected at least one character",
            "error: input: is of another form\n  expected a text, a list of token ids, ",
            "error: encoding_format: is int8\n  expected float or base64",
            "error: dimensions: is 65\n  expected a number from 1 to 64, the model's",
            "error: engine: is closed\n"):
        check(expected in out, expected, "is not in", out)
    check("no error" not in out, out)


def conversations_that_outgrow_the_context_lose_their_oldest_turns(program):
    folder = Folder(program)
    out = folder.python("""
import sys
from mlc_llm import ChatModule, GenerationConfig
cm = ChatModule(sys.argv[1], model_lib_path=sys.argv[2])
cm.generate([{"role": "system", "content": "S"}, {"role": "user", "content": "first"}], GenerationConfig(max_gen_len=5))
for i in range(6):
    cm.generate(f"{i}" * 60, GenerationConfig(max_gen_len=5))
roles = [m["role"] for m in cm._messages]
print(roles[0], roles[-2:], len(roles) < 15, cm._messages[-2]["content"][:3])
cm.reset_chat()
print(cm._messages)
""", folder.model, folder.library)[0]
    check(out == "system ['user', 'assistant'] True 555\n[]\n", out)


def a_template_that_raises_is_an_exception(program):
    folder = Folder(program)
    model = folder.path / "own"
    shutil.copytree(folder.model, model)
    path = model / "mlc-chat-config.json"
    config = json.loads(path.read_text())
    config["conv_template"]["chat_template"] = {"template": "{{ raise_exception('no such mood') }}", "special_tokens": {}}
    path.write_text(json.dumps(config))
    out = folder.python("""
import sys
from mlc_llm import ChatModule, MLCUserError
try:
    ChatModule(sys.argv[1], model_lib_path=sys.argv[2]).generate("hi")
except MLCUserError as error:
    print(error)
""", model, folder.library)[0]
    err = program.run("chat", model, "--model-lib", folder.library, text="hi\n", status=1)[1]
    check("no such mood" in out and out.strip() in err, out, err)


def benchmark_generate_writes_so_many_tokens(program):
    folder = Folder(program)
    out = folder.python("""
import sys
from mlc_llm import ChatModule
cm = ChatModule(sys.argv[1], model_lib_path=sys.argv[2])
print(cm.stats())
cm.benchmark_generate("hello", 30)
print(cm._usage["completion_tokens"], cm._usage["prompt_tokens"], cm._usage["cached_tokens"])
""", folder.model, folder.library)[0]
    check(out == "prefill: N/A tok/s, decode: N/A tok/s\n30 5 0\n", out)


def several_answers_are_those_of_seeds_in_a_row(program):
    folder = Folder(program)
    folder.python("""
import asyncio, sys
from mlc_llm import AsyncMLCEngine, MLCEngine
engine = MLCEngine(sys.argv[1], model_lib=sys.argv[2])
options = dict(messages=[{"role": "user", "content": "hi"}], max_tokens=12, ignore_eos=True, temperature=1)
alone = [engine.chat.completions.create(**options, seed=seed).choices[0].message.content for seed in (5, 6, 7)]
assert len(set(alone)) == 3, alone
response = engine.chat.completions.create(**options, seed=5, n=3)
assert [c.message.content for c in response.choices] == alone, (response, alone)
assert [c.index for c in response.choices] == [0, 1, 2]
assert [c.finish_reason for c in response.choices] == ["length"] * 3
assert response.usage.completion_tokens == 36, response.usage

def joined(chunks):
    texts, finishes = {}, {}
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + choice.delta.content
            finishes[choice.index] = choice.finish_reason
    assert finishes == {0: "length", 1: "length", 2: "length"}, finishes
    return [texts[i] for i in range(3)]
assert joined(engine.chat.completions.create(**options, seed=5, n=3, stream=True)) == alone

async def main():
    engine = AsyncMLCEngine(sys.argv[1], model_lib=sys.argv[2])
    response = await engine.chat.completions.create(**options, seed=5, n=3)
    assert [c.message.content for c in response.choices] == alone
    assert joined([chunk async for chunk in await engine.chat.completions.create(**options, seed=5, n=3, stream=True)]) == alone
    engine.terminate()
asyncio.run(main())

# An abort ends all answers; so does closing the engine.
finishes = []
for chunk in engine.chat.completions.create(**{**options, "max_tokens": 300}, n=3, stream=True, request_id="mine"):
    finishes += [c.finish_reason for c in chunk.choices if c.finish_reason]
    engine.abort("mine")
assert finishes == ["abort"] * 3, finishes
big = 2**64 - 1   # as an unsigned number, or with a sign: the same seed
assert engine.completions.create(prompt="a", max_tokens=9, seed=big).choices == engine.completions.create(prompt="a", max_tokens=9, seed=-1).choices
finishes = []
stream = engine.chat.completions.create(**{**options, "max_tokens": 300}, n=3, stream=True)
engine.terminate()
for chunk in stream:
    finishes += [c.finish_reason for c in chunk.choices if c.finish_reason]
assert finishes == ["abort"] * 3, finishes
""", folder.model, folder.library)


def log_probabilities_are_those_of_the_model(program):
    folder = Folder(program, template="LM")
    folder.python("""
import json, sys
import numpy
from mlc_llm import MLCEngine
engine = MLCEngine(sys.argv[1], model_lib=sys.argv[2])
form = {"type": "regex", "regex": "[a-z ]{6}é[a-z ]{6}"}
options = dict(messages=[{"role": "user", "content": "hello"}], response_format=form, seed=3, temperature=1.5)
plain = engine.chat.completions.create(**options).choices[0]
assert plain.logprobs is None
choice = engine.chat.completions.create(**options, logprobs=True, top_logprobs=4).choices[0]
content = choice.logprobs.content
assert choice.message.content == plain.message.content
assert b"".join(bytes(t.bytes) for t in content).decode() == choice.message.content, choice
assert all(len(t.top_logprobs) == 4 for t in content)
prompt = [1, *engine.encode("hello")]   # as the template makes it
logits = engine.logits(prompt)[0].astype(float)
logits[[id for id in range(len(logits)) if not engine.decode([id])]] = -numpy.inf   # rows that no token has
expected = logits - logits.max() - numpy.log(numpy.exp(logits - logits.max()).sum())
best = [t.logprob for t in content[0].top_logprobs]
numpy.testing.assert_allclose(best, numpy.sort(expected)[::-1][:4], atol=1e-3)
first = engine.encode(content[0].token)
assert len(first) == 1 and abs(expected[first[0]] - content[0].logprob) < 1e-3, content[0]
streamed = []
for chunk in engine.chat.completions.create(**options, logprobs=True, top_logprobs=4, stream=True):
    logprobs = chunk.choices[0].logprobs
    streamed += logprobs.content if logprobs else []
assert streamed == content

# A prompt's: OpenAI's older form, whose numbers are the same.
options = dict(prompt=prompt, response_format=form, seed=3, temperature=1.5)
for echo in ("", engine.decode(prompt)):
    choice = engine.completions.create(**options, logprobs=2, echo=bool(echo)).choices[0]
    assert choice.text == echo + plain.message.content
    logprobs = choice.logprobs
    assert logprobs.tokens == [t.token for t in content]
    assert logprobs.token_logprobs == [t.logprob for t in content]
    for token, logprob, offset, top, chat in zip(logprobs.tokens, logprobs.token_logprobs, logprobs.text_offset, logprobs.top_logprobs, content):
        assert choice.text[offset:].startswith(bytes(chat.bytes).decode(errors="ignore")), (choice, token, offset)
        assert top[token] == logprob and 2 <= len(top) <= 3 and list(top.values()) == sorted(top.values(), reverse=True), top
    assert logprobs.text_offset[0] == len(echo) and logprobs.text_offset == sorted(logprobs.text_offset)
    joined = []
    for chunk in engine.completions.create(**options, logprobs=2, echo=bool(echo), stream=True):
        joined += chunk.choices[0].logprobs.text_offset if chunk.choices[0].logprobs else []
    assert joined == logprobs.text_offset
choice = engine.completions.create(**options, logprobs=0).choices[0]
assert [list(top) for top in choice.logprobs.top_logprobs] == [[token] for token in choice.logprobs.tokens]
dumped = json.loads(engine.completions.create(**options, logprobs=0).model_dump_json())
assert dumped["choices"][0]["logprobs"]["tokens"] == choice.logprobs.tokens
engine.terminate()
""", folder.model, folder.library, numpy=True)


def offsets_of_tokens_that_are_no_texts(program):
    """Half a character begins where the character does; a tokenizer may strip the first blank of an answer; a stop string holds back."""
    folder = Folder(program)
    out = folder.python("""
from mlc_llm.engine import _Answer, _Request
def output(text, *tokens, **members):
    def entry(token):
        return {"token": token.decode("utf-8", "backslashreplace"), "logprob": -1.0, "bytes": list(token)}
    return {"text": text, "logprobs": [{**entry(token), "top_logprobs": [entry(token)]} for token in tokens], **members}
answer = _Answer(_Request("completion", "m", {}, None, echo="ab"), 0)
answer.add(output("", b" "))
print(answer.has_news())
answer.add(output("x", b"x"))
for held in (output("", b"\\xc3"), output("\\u00e9y", b"\\xa9", b"y"), output("", b" z", finish_reason="stop")):
    if answer.has_news():
        choice = answer.completion_choice()
        print(ascii(choice.text), choice.logprobs.tokens, choice.logprobs.text_offset, choice.finish_reason)
    answer.add(held)
choice = answer.completion_choice()
print(ascii(choice.text), choice.logprobs.tokens, choice.logprobs.text_offset, choice.finish_reason)
""")[0]
    check(out == r"""False
'abx' [' ', 'x'] [2, 2] None
'\xe9y' ['\\xc3', '\\xa9', 'y'] [3, 3, 4] None
'' [' z'] [5] stop
""", out)


def answers_are_in_the_form_that_was_asked_for(program):
    folder = Folder(program)
    folder.python("""
import asyncio, json, re, sys
from mlc_llm import AsyncMLCEngine, MLCEngine
engine = MLCEngine(sys.argv[1], model_lib=sys.argv[2])
def answer(format, **options):
    response = engine.chat.completions.create(messages=[{"role": "user", "content": "hi"}], response_format=format, n=3, seed=1, **options)
    assert all(c.finish_reason == "stop" for c in response.choices), response
    return [c.message.content for c in response.choices]
schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", "y"]}}, "required": ["a", "b"]}
for format in ({"type": "json_object", "schema": json.dumps(schema)}, {"type": "json_object", "schema": schema},
               {"type": "json_schema", "json_schema": {"name": "thing", "schema": schema, "strict": True}}):
    for text in answer(format):
        value = json.loads(text)
        assert list(value) == ["a", "b"] and isinstance(value["a"], int) and value["b"] in ("x", "y"), text
for text in answer({"type": "regex", "regex": "[0-9]{3}-(yes|no)"}):
    assert re.fullmatch("[0-9]{3}-(yes|no)", text), text
for text in answer({"type": "grammar", "grammar": 'root ::= "a" ("b" | "c") "d"'}):
    assert text in ("abd", "acd"), text
assert engine.completions.create(prompt="a", response_format={"type": "regex", "regex": "never mind"}).choices[0].text == "never mind"
whole = engine.chat.completions.create(messages=[{"role": "user", "content": "hi"}], response_format={"type": "json_object"}, max_tokens=5, seed=1)
assert whole.choices[0].message.content.startswith("{"), whole
assert engine.completions.create(prompt="a", max_tokens=3, response_format={"type": "text"}, ignore_eos=True).usage.completion_tokens == 3

async def main():
    engine = AsyncMLCEngine(sys.argv[1], model_lib=sys.argv[2])
    response = await engine.completions.create(prompt="a", response_format={"type": "json_schema", "json_schema": {"schema": {"const": [1]}}})
    assert json.loads(response.choices[0].text) == [1], response
    engine.terminate()
asyncio.run(main())
""", folder.model, folder.library)


def vectors_are_those_of_the_reference(program):
    """Of a conformance model of each family, whose weights are kept as they are stored. Their heads have enough rows to tell the hidden
    state from the logits: those of transformers, in golden.npz, give transformers' hidden states."""
    models = shared_path("conformance/models")
    folder = Folder(program)
    for name, head, table in (("gpt_neox", "embed_out", "gpt_neox.embed_in"), ("llama_head_dim", "lm_head", "model.embed_tokens"),
                              ("mistral_nemo", "lm_head", "model.embed_tokens"), ("qwen2_yarn", "lm_head", "model.embed_tokens")):
        source, model, library = models / name, program.folder / name, program.folder / name / "lib.so"
        program.run("convert_weight", source, "--quantization", "q0f32", "-o", model)
        program.run("gen_config", source, "--quantization", "q0f32", "--conv-template", "LM", "-o", model)
        program.run("compile", model, "-o", library)
        folder.python(COMPARE_VECTORS, source, model, library, head, table, numpy=True)


COMPARE_VECTORS = """
import json, pathlib, sys
import numpy
from mlc_llm import ChatModule, MLCEngine
source, model, library, head_name, table_name = sys.argv[1:]
data = (pathlib.Path(source) / "model.safetensors").read_bytes()
begin = 8 + int.from_bytes(data[:8], "little")
header = json.loads(data[8:begin])
def tensor(name):
    entry = header[name]
    first, end = entry["data_offsets"]
    assert entry["dtype"] == "BF16", entry
    bits = numpy.frombuffer(data[begin + first:begin + end], "<u2")
    return (bits.astype("<u4") << 16).view("<f4").reshape(entry["shape"])
head, table = tensor(head_name + ".weight"), tensor(table_name + ".weight")
golden = json.loads((pathlib.Path(source) / "golden.json").read_text())
arrays = numpy.load(pathlib.Path(source) / "golden.npz")
engine = MLCEngine(model, model_lib=library)
for number in range(3):
    ids = golden["prompts"][number]["tokens"]
    logits = arrays[f"all_{number}"].astype(float)
    want, _, rank, _ = numpy.linalg.lstsq(head.astype(float), logits.T, rcond=None)
    assert rank == head.shape[1], rank
    got = engine.hidden_states(ids)
    assert got.dtype == numpy.float32 and got.shape == (len(ids), head.shape[1]), (got.dtype, got.shape)
    error = abs(got - want.T).max() / abs(want).max()
    assert error < 1e-3, (number, error)      # the tolerance of q0f32
    # The same as a whole: the eos that is there already is not put there again.
    eos = engine.info()["config"]["eos_token_id"]
    last = engine.hidden_states([*ids, eos])[-1]
    for input in (ids, [*ids, eos]):
        embedding = engine.embedding_array(input)
        numpy.testing.assert_allclose(embedding, last / numpy.linalg.norm(last), atol=1e-6)
cm = ChatModule(model, model_lib_path=library)
text = "two birds"
numpy.testing.assert_array_equal(cm.embed_text(text), table[engine.encode(text)])
engine.terminate()
"""


def embeddings_have_openais_form(program):
    folder = Folder(program)
    config = json.loads((folder.model / "mlc-chat-config.json").read_text())
    mean = folder.path / "mean"
    shutil.copytree(folder.model, mean)
    (mean / "mlc-chat-config.json").write_text(json.dumps({**config, "embedding_metadata": {"pooling_strategy": "mean", "normalize": False}}))
    folder.python("""
import asyncio, base64, json, math, struct, sys
from mlc_llm import AsyncMLCEngine, MLCEngine
engine = MLCEngine(sys.argv[1], model_lib=sys.argv[3])
create = engine.embeddings.create
response = create(input=["hello", "hello world", "hello"])
assert [e.index for e in response.data] == [0, 1, 2] and response.object == "list" and response.data[0].object == "embedding"
first, second, third = (e.embedding for e in response.data)
assert first == third != second and len(first) == 64
assert abs(math.fsum(x * x for x in first) - 1) < 1e-6
eos = json.loads(json.dumps(engine.info()["config"]["eos_token_id"]))
eos = eos[0] if isinstance(eos, list) else eos
ids = engine.encode("hello", add_special=True)
assert response.usage.prompt_tokens == response.usage.total_tokens == 3 * (len(ids) + 1) + 6, response.usage
for same in (create(input="hello"), create(input=ids), create(input=[ids]), create(input=[*ids, eos])):
    assert [e.embedding for e in same.data] == [first]
text = create(input="hello", encoding_format="base64").data[0].embedding
assert list(struct.unpack("<64f", base64.b64decode(text))) == first
few = create(input="hello", dimensions=8).data[0].embedding
length = math.sqrt(sum(x * x for x in first[:8]))
assert len(few) == 8 and all(abs(a - b / length) < 1e-6 for a, b in zip(few, first))
long = create(input="a" * 2000)                          # longer than the context: cut, with its eos
assert long.usage.prompt_tokens == 512, long.usage
assert json.loads(response.model_dump_json())["data"][1]["embedding"] == second

async def main():
    engine = AsyncMLCEngine(sys.argv[1], model_lib=sys.argv[3])
    several = await asyncio.gather(engine.embeddings.create(input="hello"), engine.chat.completions.create(
        messages=[{"role": "user", "content": "hi"}], max_tokens=20), engine.embeddings.create(input="hello world"))
    assert several[0].data[0].embedding == first and several[2].data[0].embedding == second
    engine.terminate()
asyncio.run(main())
engine.terminate()
pooled = MLCEngine(sys.argv[2], model_lib=sys.argv[3])
mean = pooled.embeddings.create(input="hello").data[0].embedding
assert mean != first and abs(sum(x * x for x in mean) - 1) > 1e-3      # as the config says
""", folder.model, mean, folder.library)


def answers_call_tools(program):
    """tool_choice makes a model of random weights write a call, in each format; what it wrote is read back, and goes back into a conversation."""
    folder = Folder(program)
    begin = "{% for m in messages %}{{ m.role }}{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function.arguments.unit }}{% endfor %}{% endfor %}"
    for name, form in (("hermes", "<tool_call>"), ("mistral", "[TOOL_CALLS]"), ("llama", '{"name": function name, "parameters": {}')):
        model = folder.path / name
        shutil.copytree(folder.model, model)
        config = json.loads((model / "mlc-chat-config.json").read_text())
        config["conv_template"]["chat_template"] = {"template": begin + "{{ '" + form + "' if tools }}", "special_tokens": {}}
        (model / "mlc-chat-config.json").write_text(json.dumps(config))
        folder.python("""
import asyncio, json, sys
from mlc_llm import AsyncMLCEngine, MLCEngine
engine = MLCEngine(sys.argv[1], model_lib=sys.argv[2])
parameters = {"type": "object", "properties": {"unit": {"enum": ["c", "f"]}}, "required": ["unit"], "additionalProperties": False}
tools = [{"type": "function", "function": {"name": name, "parameters": parameters}} for name in ("weather", "clock")]
messages = [{"role": "user", "content": "hi"}]
create = engine.chat.completions.create
def check(call, names):
    assert call.function.name in names and json.loads(call.function.arguments)["unit"] in ("c", "f") and len(call.id) == 9, call
response = create(messages=messages, tools=tools, tool_choice="required", n=3, seed=1)
for choice in response.choices:
    assert choice.finish_reason == "tool_calls" and choice.message.content is None, choice
    (call,) = choice.message.tool_calls
    check(call, ("weather", "clock"))
named = {"type": "function", "function": {"name": "clock"}}
choice = create(messages=messages, tools=tools, tool_choice=named, seed=1).choices[0]
check(choice.message.tool_calls[0], ("clock",))
deltas = [c for chunk in create(messages=messages, tools=tools, tool_choice=named, seed=1, stream=True) for c in chunk.choices]
assert "".join(d.delta.content for d in deltas) == "" and deltas[-1].finish_reason == "tool_calls", deltas
(call,) = [call for d in deltas for call in d.delta.tool_calls or []]
assert call.function == choice.message.tool_calls[0].function and call.index == 0
# OpenAI's way on: the message and the result.
message = choice.message.model_dump()
result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "21"}
after = create(messages=[*messages, message, result], tools=tools, max_tokens=3)
assert after.choices[0].message.tool_calls is None and after.usage.prompt_tokens > response.usage.prompt_tokens
plain = create(messages=messages, tools=tools, tool_choice="none", max_tokens=5, seed=1).choices[0]
assert plain.message.tool_calls is None and plain.message.content is not None

async def main():
    engine = AsyncMLCEngine(sys.argv[1], model_lib=sys.argv[2])
    response = await engine.chat.completions.create(messages=messages, tools=tools, tool_choice=named, seed=1)
    assert response.choices[0].message.tool_calls[0].function == call.function
    engine.terminate()
asyncio.run(main())
engine.terminate()
""", model, folder.library)


if __name__ == "__main__":
    if not os.path.exists(PYTHON):
        sys.exit(f"{PYTHON}: does not exist")
    main([lines_of_the_seed_page, lines_of_the_seed_page_on_a_trained_model, examples_of_the_documentation,
          examples_of_the_documentation_on_a_trained_model, the_program_is_in_the_package, answers_are_those_of_the_program,
          requests_of_asyncio_share_steps, ctrl_c_ends_an_answer_and_not_the_engine, other_threads_run_while_a_model_computes,
          errors_are_those_of_the_command_line, conversations_that_outgrow_the_context_lose_their_oldest_turns,
          a_template_that_raises_is_an_exception, benchmark_generate_writes_so_many_tokens, several_answers_are_those_of_seeds_in_a_row,
          log_probabilities_are_those_of_the_model, offsets_of_tokens_that_are_no_texts, answers_are_in_the_form_that_was_asked_for, vectors_are_those_of_the_reference,
          embeddings_have_openais_form, answers_call_tools], at_once=2)
