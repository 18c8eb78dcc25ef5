#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Answers to JSON schemas beside their reference, Python's package jsonschema. A model of random weights takes a random way
through each schema: what it writes must be valid. Decimals are compared as decimals."""
import decimal
import json
import sys

try:
    import jsonschema
except ImportError:
    print("skipped schemas: Python has no package jsonschema")
    sys.exit(77)

from support.tiny_model import check, main, make_model

TURNS = 12  # for each schema

SCHEMAS = {
    "lengths_beside_patterns": {
        "type": "array", "minItems": 2, "maxItems": 4,
        "items": {"anyOf": [{"type": "string", "pattern": "^[a-z]+(-[a-z]+)*$", "minLength": 4, "maxLength": 9},
                            {"type": "string", "pattern": "[A-Z]", "maxLength": 5},
                            {"type": "string", "format": "date", "pattern": "^19"}]}},
    "names_that_match": {
        "type": "object", "properties": {"ab": {"type": "boolean"}, "xc": {"maximum": 40}}, "required": ["ab", "xd"],
        "patternProperties": {"^x": {"type": "integer"}, "d$": {"minimum": 5}}, "propertyNames": {"maxLength": 3},
        "additionalProperties": {"type": "null"}, "maxProperties": 6},
    "multiples": {
        "type": "array", "minItems": 3, "maxItems": 3,
        "prefixItems": [{"type": "integer", "multipleOf": 7}, {"type": "number", "multipleOf": 0.05, "minimum": -1, "maximum": 20},
                        {"type": "integer", "multipleOf": 25, "minimum": -300, "exclusiveMaximum": 500}]},
    "exclusions": {
        "type": "object", "required": ["a", "b", "c", "d"], "additionalProperties": False,
        "properties": {"a": {"type": "string", "maxLength": 2, "not": {"enum": ["", "a", "b"]}},
                       "b": {"type": "integer", "minimum": 0, "maximum": 12, "not": {"minimum": 3, "maximum": 9}},
                       "c": {"type": ["string", "number", "boolean"], "not": {"type": ["string", "integer"]}},
                       "d": {"enum": [1, 2.5, "x", "xyz", None], "not": {"type": "null"}, "maxLength": 2},
                       "e": {"type": "null"}, "f": {"type": "null"}},
        "not": {"required": ["e", "f"]}},
    "conditions": {
        "type": "object", "required": ["country"], "additionalProperties": False,
        "properties": {"country": {"enum": ["US", "CA", "NL"]}, "zip": {"type": "string"}, "a": {"const": 1}, "b": {"const": 2}},
        "if": {"properties": {"country": {"const": "US"}}},
        "then": {"properties": {"zip": {"pattern": "^[0-9]{5}$"}}, "required": ["zip"]},
        "else": {"properties": {"zip": {"pattern": "^[A-Z][0-9]$"}}}, "dependentRequired": {"a": ["b"]}},
    "one_of_what_overlaps": {
        "type": "array", "minItems": 3, "maxItems": 6,
        "items": {"oneOf": [{"type": "integer", "minimum": 0, "maximum": 20}, {"type": "number", "minimum": 10, "maximum": 30},
                            {"type": "object", "properties": {"k": {"type": "null"}, "l": {"type": "null"}},
                             "additionalProperties": False, "minProperties": 1, "oneOf": [{"required": ["k"]}, {"required": ["l"]}]}]}},
    "items_that_are_unique": {
        "type": "array", "items": {"enum": ["a", "b", 1, None, [2]]}, "uniqueItems": True, "minItems": 2, "maxItems": 4},
}

# Valid or not, as the package says too: what is written in the order and the way of our answers must be told apart alike.
TEXTS = {
    "lengths_beside_patterns": ['["abcd", "ab-cd"]', '["abc", "abcd"]', '["A", "1999-01-31"]', '["abcd"]', '["aBcdef", "bcdef"]'],
    "names_that_match": ['{"ab": true, "xd": 5}', '{"ab": true, "xd": 4}', '{"ab": true, "xc": 41, "xd": 5}', '{"ab": false, "xd": 7, "d": 6.5, "z": null}',
                         '{"ab": false, "xd": 7, "abcd": 6}', '{"xd": 5}'],
    "multiples": ["[14, 0.35, -25]", "[15, 0.35, -25]", "[0, 0.33, 0]", "[-7, 20, 500]", "[-7, 19.95, 475]"],
    "exclusions": ['{"a": "ab", "b": 2, "c": 0.5, "d": "x"}', '{"a": "a", "b": 2, "c": 0.5, "d": "x"}', '{"a": "é", "b": 5, "c": true, "d": 1}',
                   '{"a": "ab", "b": 10, "c": 3, "d": 2.5}', '{"a": "ab", "b": 10, "c": false, "d": "xyz"}',
                   '{"a": "ab", "b": 10, "c": false, "d": 1, "f": null}', '{"a": "ab", "b": 10, "c": false, "d": 1, "e": null, "f": null}'],
    "conditions": ['{"country": "US", "zip": "12345"}', '{"country": "US"}', '{"country": "NL"}', '{"country": "NL", "zip": "A1", "b": 2}',
                   '{"country": "CA", "zip": "12345"}', '{"country": "CA", "a": 1}', '{"country": "CA", "a": 1, "b": 2}'],
    "one_of_what_overlaps": ["[5, 9, 0]", "[15, 5, 5]", "[10.5, 25, 30]", '[{"k": null}, 1, {"l": null}]', '[{"k": null, "l": null}, 1, 2]', "[{}, 1, 2]"],
    "items_that_are_unique": ['["a", null]', '["a", "a"]', '[[2], 1, "b"]', '["a"]', '["a", "b", 1, null, [2]]'],
}


def exact(text):
    return json.loads(text, parse_float=decimal.Decimal)


def answers_are_valid(program, model, schema, validator):
    turns = "".join(f"/set seed={seed}\nhi\n/reset\n" for seed in range(TURNS))
    out, log = program.run("chat", model, "--model-lib", model / "lib.so", "--temperature", 1, "--overrides", "context_window_size=2000",
                           "--json-schema", json.dumps(schema), "--max-tokens", 1500, text=turns)
    check("error" not in log, log)
    decoder, at, values = json.JSONDecoder(parse_float=decimal.Decimal), 0, []
    check("truncated" not in log, "an answer is not whole", log)
    while at < len(out):
        value, at = decoder.raw_decode(out, at)
        at += 1
        values.append(value)
    check(len(values) == TURNS, log, out)
    for value in values:
        errors = [error.message for error in validator.iter_errors(value)]
        check(not errors, value, *errors)


def texts_are_told_apart(program, model, schema, validator, texts):
    """A text is an answer if, and only if, it is valid: both must hold at once, so that one that is not cannot be met."""
    for text in texts:
        value = exact(text)
        both = {"allOf": [schema, {"const": json.loads(text)}]}
        status = 0 if validator.is_valid(value) else 1
        out, err = program.run("chat", model, "--model-lib", model / "lib.so", "--json-schema", json.dumps(both), "--max-tokens", 500,
                               "--overrides", "context_window_size=2000", text="hi\n", status=status)
        check(json.loads(out) == json.loads(text) if status == 0 else "cannot be met" in err, text, out, err)


def case(name):
    def run(program):
        schema = SCHEMAS[name]
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(exact(json.dumps(schema)))
        model = make_model(program, context=2048)
        program.run("compile", model, "-o", model / "lib.so")
        answers_are_valid(program, model, schema, validator)
        texts_are_told_apart(program, model, schema, validator, TEXTS[name])

    return name, run


if __name__ == "__main__":
    main([case(name) for name in SCHEMAS])
