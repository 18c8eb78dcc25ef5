// SPDX-License-Identifier: Apache-2.0
#include "formats/jinja/template.h"

#include <gtest/gtest.h>

#include <string>

#include "support/strings.h"
#include "support/testing.h"

namespace mlc::jinja {
namespace {

Json arguments_of(std::string_view text) { return parse_json(text, "arguments").value(); }

// The prompt, or "error: ...".
std::string rendered(std::string_view text, const Json& arguments = Json::object(),
                     const RenderOptions& options = {}) {
  const Result<Template> parsed = Template::parse(text, "t");
  if (!parsed.ok()) return parsed.error().to_string();
  const Result<std::string> prompt = parsed->render(arguments, options);
  return prompt.ok() ? *prompt : prompt.error().to_string();
}

// tests/fixtures/jinja/make_cases.py: what jinja2 makes of many expressions and templates.
TEST(JinjaTemplate, RendersAsJinjaDoes) {
  const std::string folder = source_path("tests/fixtures/jinja");
  const Json arguments = read_json_file(path_join(folder, "arguments.json")).value();
  const Json cases = read_json_file(path_join(folder, "cases.json")).value();
  const RenderOptions options{.now = "2025-03-09T12:00:00"};
  ASSERT_GT(cases.as_array().size(), 900u);
  for (const Json& item : cases.as_array()) {
    const Json::Array& values = item.as_array();
    const std::string& text = values[0].as_string();
    const std::string got = rendered(text, arguments, options);
    if (values[1].is_string()) {
      EXPECT_EQ(got, values[1].as_string()) << text;
    } else {
      EXPECT_TRUE(got.starts_with("error: t: line ")) << text << "\n" << got;
      EXPECT_NE(got.find(values[2].as_string() + ": "), std::string::npos) << text << "\n" << got;
    }
  }
}

TEST(JinjaTemplate, ErrorsNameTheTemplateAndTheLine) {
  EXPECT_EQ(rendered("a\n\n{{ raise_exception('no system role') }}"),
            "error: t: line 3: TemplateError: no system role");
  EXPECT_EQ(rendered("{% if x %}\n{{ y.z }}\n{% endif %}", arguments_of(R"({"x": 1})")),
            "error: t: line 2: UndefinedError: 'y' is undefined");
  EXPECT_EQ(rendered("{{ 'a' + messages }}", arguments_of(R"({"messages": []})")),
            "error: t: line 1: TypeError: can only concatenate str (not \"list\") to str");
  EXPECT_EQ(rendered("\n{{ messages.startswith('a') }}", arguments_of(R"({"messages": []})")),
            "error: t: line 2: UndefinedError: 'list object' has no attribute 'startswith'");
}

TEST(JinjaTemplate, SyntaxErrorsAreFoundWithoutRendering) {
  const auto error = [](std::string_view text) {
    const Result<Template> parsed = Template::parse(text, "chat_template.jinja");
    return parsed.ok() ? "no error" : parsed.error().to_string();
  };
  EXPECT_EQ(error("x\n{% for m in messages %}"),
            "error: chat_template.jinja: line 2: TemplateSyntaxError: Unexpected end of template. "
            "Jinja was looking for the following tags: 'endfor' or 'else'.");
  EXPECT_EQ(error("{{ a b }}"),
            "error: chat_template.jinja: line 1: TemplateSyntaxError: expected token 'end of print "
            "statement', got 'b'");
  EXPECT_EQ(error("{% frobnicate %}"),
            "error: chat_template.jinja: line 1: TemplateSyntaxError: Encountered unknown tag "
            "'frobnicate'.");
  EXPECT_EQ(
      error("{{ 99999999999999999999 }}"),
      "error: chat_template.jinja: line 1: TemplateSyntaxError: an integer is beyond 64 bits");
  EXPECT_EQ(error("\n{{ x|frobnicate }}"),
            "error: chat_template.jinja: line 2: TemplateAssertionError: No filter named "
            "'frobnicate'.");
}

TEST(JinjaTemplate, ClockIsSetByTheCaller) {
  const auto at = [](const std::string& now, std::string_view format) {
    return rendered("{{ strftime_now(f) }}", Json::Object{{"f", format}}, {.now = now});
  };
  EXPECT_EQ(at("2025-03-09T12:00:00", "%A %d %B %Y %H:%M:%S %j"),
            "Sunday 09 March 2025 12:00:00 068");
  EXPECT_EQ(at("2024-02-29", "%a %Y-%m-%d"), "Thu 2024-02-29");
  EXPECT_EQ(at("2000-12-31 23:59", "%a %j %H:%M"), "Sun 366 23:59");
  EXPECT_EQ(at("2025-02-29", "%Y"),
            "error: now: is 2025-02-29\n  expected an ISO time such as 2025-03-09T12:00:00");
  EXPECT_NE(at("2025-03-09", "%99999d").find("ValueError: Invalid format string"),
            std::string::npos);
}

TEST(JinjaTemplate, ClockIsTheMachinesWhereNobodySetsIt) {
  const std::string year = rendered("{{ strftime_now('%Y') }}");
  EXPECT_EQ(year.size(), 4u) << year;
  EXPECT_GE(year, "2025");
}

TEST(JinjaTemplate, TextThatIsNoUtf8IsKept) {
  EXPECT_EQ(rendered("{{ x }}{{ x|length }}", Json::Object{{"x", "a\xff\xc3"}}),
            "a\xff\xc3"
            "3");
  EXPECT_EQ(rendered("\xfe{{ 'b\xfe' | upper }}"),
            "\xfe"
            "B\xfe");
}

TEST(JinjaTemplate, ArgumentsMustBeAnObject) {
  EXPECT_EQ(rendered("x", Json::array()),
            "error: t: gets a list\n  expected an object of arguments");
}

// ---- limits: a template comes with a foreign file

std::string limit_error(std::string_view text, const Limits& limits = {}) {
  return rendered(text, Json::object(), {.now = {}, .limits = limits});
}

TEST(JinjaLimits, StepsAreBounded) {
  const Limits limits{.steps = 100'000};
  EXPECT_EQ(limit_error("{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}"
                        "{% endfor %}ok",
                        {}),
            "ok");
  EXPECT_EQ(limit_error("{% for a in range(1000) %}{% for b in range(1000) %}{{ b }}{% endfor %}"
                        "{% endfor %}",
                        limits),
            "error: t: line 1: LimitError: the template takes more than 100000 steps");
}

TEST(JinjaLimits, MemoryIsBounded) {
  const Limits limits{.heap_bytes = 1 << 20};
  const std::string_view expected =
      "error: t: line 1: LimitError: the template needs more than 1,048,576 bytes (1.0 MiB)";
  for (const std::string_view text :
       {"{% set n = namespace(s='a') %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor "
        "%}",
        "{{ 'a' * 99999999 }}", "{{ 'a' * 9223372036854775807 }}", "{{ [1] * 99999999 }}",
        "{{ 'a'.center(99999999) }}", "{{ 'a'.ljust(9223372036854775807, 'é') }}",
        "{{ 'a'.zfill(99999999) }}", "{{ '\t'.expandtabs(9223372036854775807) }}",
        "{{ '%99999999d' % 1 }}", "{{ '{:99999999}'.format(1) }}", "{{ 'a'|indent(99999999) }}",
        "{{ 1|tojson(indent=99999999) }}",
        "{% set n = namespace(l=[0]) %}{% for i in range(99) %}{% set n.l = n.l + n.l %}{% endfor "
        "%}",
        "{% for i in range(99999) %}{{ 'aaaaaaaaaaaaaaaaaaaaaaaaa' }}{% endfor %}",
        "{% for i in range(99999) %}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{% endfor %}",
        "{{ ('a' * 10000).replace('', 'b' * 10000) }}", "{{ ('b' * 10000).join('a' * 10000) }}",
        "{{ ['b' * 10000] * 10000 }}", "{{ (['b' * 10000] * 10000)|join }}"}) {
    EXPECT_EQ(limit_error(text, limits), expected) << text;
  }
}

TEST(JinjaLimits, DepthIsBounded) {
  EXPECT_EQ(limit_error("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
            "error: t: line 1: RecursionError: maximum recursion depth exceeded");
  EXPECT_NE(limit_error("{% for x in [[1]] recursive %}{{ loop([x]) }}{% endfor %}")
                .find("RecursionError: maximum recursion depth exceeded"),
            std::string::npos);
  EXPECT_NE(limit_error("{% set n = namespace(x=[]) %}{% for i in range(999) %}"
                        "{% set n.x = [n.x] %}{% endfor %}")
                .find("nested deeper than 200"),
            std::string::npos);
  EXPECT_NE(limit_error("{% set n = namespace() %}{% set n.x = [n] %}{{ n }}")
                .find("RecursionError: maximum recursion depth exceeded"),
            std::string::npos);
  // A macro that calls itself for a schema of some depth works.
  EXPECT_EQ(limit_error("{% macro f(n) %}{% if n %}{{ n ~ f(n - 1) }}{% endif %}{% endmacro %}"
                        "{{ f(50)|length }}"),
            "91");
}

TEST(JinjaLimits, NestingOfTheSourceIsBounded) {
  const auto repeated = [](std::string_view text, int times) {
    std::string result;
    for (int i = 0; i < times; ++i) result += text;
    return result;
  };
  const std::string deep = "nested too deeply";
  for (const std::string& text :
       {"{{ " + repeated("(", 100'000) + repeated(")", 100'000) + " }}",
        "{{ " + repeated("[", 100'000) + repeated("]", 100'000) + " }}",
        "{{ " + repeated("not ", 100'000) + "1 }}", "{{ " + repeated("-", 100'000) + "1 }}",
        "{{ 1" + repeated(" + 1", 100'000) + " }}", "{{ a" + repeated(".a", 100'000) + " }}",
        "{{ a" + repeated("|e", 100'000) + " }}",
        "{{ a" + repeated(" if a else a", 100'000) + " }}", repeated("{% if a %}", 100'000),
        repeated("{% for a in b %}", 100'000),
        "{% set " + repeated("(", 100'000) + repeated(")", 100'000) + " %}"}) {
    EXPECT_NE(limit_error(text).find(deep), std::string::npos) << text.substr(0, 40);
  }
}

TEST(JinjaLimits, RangesAreBoundedAsInJinjasSandbox) {
  EXPECT_NE(limit_error("{{ range(100001) }}").find("OverflowError: Range too big."),
            std::string::npos);
  EXPECT_NE(limit_error("{{ range(-9223372036854775807, 9223372036854775807, 1) }}")
                .find("OverflowError: Range too big."),
            std::string::npos);
}

TEST(JinjaLimits, IntegersThatDoNotFitAreRefused) {
  for (const std::string_view text :
       {"{{ 9223372036854775807 + 1 }}", "{{ 9223372036854775807 * 2 }}", "{{ 2 ** 64 }}",
        "{{ -9223372036854775807 - 2 }}", "{{ (-9223372036854775807 - 1)|abs }}",
        "{{ (-9223372036854775807 - 1) // -1 }}"}) {
    EXPECT_EQ(limit_error(text), "error: t: line 1: OverflowError: an integer is beyond 64 bits")
        << text;
  }
}

TEST(JinjaLimits, InputOfAnyDepthIsHandled) {
  Json nested = Json::array();
  for (int i = 0; i < 300; ++i) nested = Json::Array{std::move(nested)};
  EXPECT_EQ(rendered("x", Json::Object{{"a", std::move(nested)}}),
            "error: t: RecursionError: the input is nested deeper than 200");
}

}  // namespace
}  // namespace mlc::jinja
