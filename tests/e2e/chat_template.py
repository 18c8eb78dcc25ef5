#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint's own chat template: debug template, gen_config without --conv-template, chat."""
import json

from support.tiny_model import check, main, make_model

TEMPLATE = """{{- bos_token }}
{%- for message in messages %}
    {%- if message.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
    {{- '[' + message.role + ']' + message.content | trim + '\\n' }}
{%- endfor %}
{%- if tools %}{{ tools | tojson }}{% endif %}
{%- if add_generation_prompt %}{{ '[assistant]' }}{% if enable_thinking is false %}{{ '!' }}{% endif %}{% endif %}
"""


def write(path, value):
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def own_model(program):
    """A model whose config was made without --conv-template."""
    model = make_model(program)
    source = program.folder / "model-source"
    write(source / "chat_template.jinja", TEMPLATE)
    program.run("gen_config", source, "--quantization", "q4f16_1", "-o", model)
    return source, model


def debug_template_prints_the_prompt_and_nothing_else(program):
    folder = program.folder
    write(folder / "tokenizer_config.json", {"chat_template": TEMPLATE, "bos_token": "<s>"})
    conversation = write(folder / "conversation.json", {"messages": [{"role": "user", "content": " Zürich? "}],
                                                        "tools": [{"name": "f"}], "add_generation_prompt": True})
    out, err = program.run("debug", "template", folder, "--input", conversation)
    check((out, err) == ('<s>[user]Zürich?\n[{"name": "f"}][assistant]', ""), out, err)
    write(folder / "chat_template.jinja", "{{ strftime_now('%d %b %Y') }}")
    write(conversation, {"messages": [], "now": "2025-03-09T12:00:00"})
    check(program.run("debug", "template", folder, "--input", conversation)[0] == "09 Mar 2025")


def a_template_that_raises_ends_with_its_message(program):
    folder = program.folder
    write(folder / "tokenizer_config.json", {"chat_template": TEMPLATE})
    conversation = write(folder / "conversation.json", {"messages": [{"role": "system", "content": "x"}]})
    out, err = program.run("debug", "template", folder, "--input", conversation, status=1)
    check(out == "" and "line 3: TemplateError: System role not supported\n" in err, out, err)
    for arguments, status, message in [
            ([folder / "nowhere", "--input", conversation], 1, "nowhere: does not exist"),
            ([folder, "--input", folder / "nowhere"], 1, "nowhere"),
            ([folder], 2, "missing --input"),
            ([folder, "--input", write(folder / "list.json", "[]")], 1, "list.json: is a list\n  expected an object with messages"),
    ]:
        err = program.run("debug", "template", *arguments, status=status)[1]
        check(message in err, arguments, err)
    write(folder / "tokenizer_config.json", {})
    err = program.run("debug", "template", folder, "--input", conversation, status=1)[1]
    check("has no chat template\n  expected chat_template.jinja, or chat_template in tokenizer_config.json" in err, err)


def gen_config_without_a_name_takes_the_checkpoints_template(program):
    source, model = own_model(program)
    template = json.loads((model / "mlc-chat-config.json").read_text())["conv_template"]
    check(template["chat_template"]["template"] == TEMPLATE, template)
    # Other programs find fields that make the same prompt.
    check(template["roles"]["user"] == "[user]" and template["roles"]["assistant"] == "[assistant]", template)
    check(template["seps"] == ["\n", "\n"] and template["system_template"] == "{system_message}", template)
    messages = write(program.folder / "messages.json", {"messages": [["user", "a"], ["assistant", "b"], ["user", "c"]],
                                                        "template_arguments": {"enable_thinking": False}})
    out = program.run("debug", "prompt", model, "--input", messages)[0]
    check(out == "[user]a\n[assistant]b\n[user]c\n[assistant]!", out)
    (source / "chat_template.jinja").unlink()
    err = program.run("gen_config", source, "--quantization", "q4f16_1", "-o", model, status=2)[1]
    check("--conv-template: is not given, and" in err and "has no chat template" in err, err)


def chat_uses_the_template(program):
    _, model = own_model(program)
    chat = ["chat", model, "--seed", "1", "--max-tokens", "8"]
    plain = program.run(*chat, text="hello\nagain\n")[0]
    check(plain == program.run(*chat, text="hello\nagain\n")[0], plain)
    program.run(*chat, "--chat-template-kwargs", '{"enable_thinking": false}', text="hello\n")
    err = program.run(*chat, "--chat-template-kwargs", "[1]", text="hello\n", status=1)[1]
    check("--chat-template-kwargs: is a list\n  expected a JSON object" in err, err)
    # What the template raises is the answer's error; the chat goes on.
    err = program.run(*chat, "--chat-template-kwargs", '{"messages": 5}', text="hello\n", status=1)[1]
    check("TypeError: 'int' object is not iterable" in err, err)


if __name__ == "__main__":
    main([debug_template_prints_the_prompt_and_nothing_else, a_template_that_raises_ends_with_its_message,
          gen_config_without_a_name_takes_the_checkpoints_template, chat_uses_the_template])
