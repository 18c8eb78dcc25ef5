#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libmlc_llm.so, which lies beside the program where it is released: a program in C that is linked with it."""
import pathlib
import re
import subprocess

from support.tiny_model import ROOT, Skipped, check, main, make_model

SOURCE = r"""
#include <mlc_llm/mlc_llm.h>
#include <stdio.h>

int main(int argc, char** argv) {
  MlcEngine* engine = NULL;
  int64_t request = 0;
  int32_t more = 1;
  const char* outputs = NULL;
  if (argc != 2 || mlc_engine_open(argv[1], NULL, NULL, &engine) != MLC_OK ||
      mlc_engine_add(engine, "{\"prompt\": \"hi\", \"max_tokens\": 5, \"ignore_eos\": true}", &request) != MLC_OK) {
    fprintf(stderr, "%s\n", mlc_last_error());
    return 1;
  }
  while (more) {
    if (mlc_engine_step(engine, &more) != MLC_OK || mlc_engine_take_outputs(engine, &outputs) != MLC_OK) return 1;
    puts(outputs);
  }
  mlc_engine_close(engine);
  return 0;
}
"""


def library(program):
    path = pathlib.Path(program.path).parent / "libmlc_llm.so"
    if not path.exists():
        raise Skipped(f"{path.name} is not built")
    return path


def a_program_in_c(program):
    shared = library(program)
    source, binary = program.folder / "main.c", program.folder / "main"
    source.write_text(SOURCE)
    subprocess.run(["clang-19", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "include", source, "-o", binary, shared,
                    f"-Wl,-rpath,{shared.parent}"], check=True)
    model = make_model(program)
    result = subprocess.run([binary, model], env=program.environment, capture_output=True, text=True, check=False)
    check(result.returncode == 0 and '"completion_tokens": 5' in result.stdout, result.stdout, result.stderr)
    check("library: compiled in" in result.stderr, result.stderr)
    result = subprocess.run([binary, "/nowhere"], env=program.environment, capture_output=True, text=True, check=False)
    check(result.returncode == 1 and result.stderr == program.run("chat", "/nowhere", status=1)[1], result.stderr)


def it_exports_the_interface_and_needs_libc_and_libm_only(program):
    shared = library(program)
    names = subprocess.run(["nm", "-D", "--defined-only", shared], capture_output=True, text=True, check=True).stdout
    exported = {line.split()[-1] for line in names.splitlines()}
    declared = set(re.findall(r"MLC_API [\w ]+?\*?\s?(mlc_\w+)\(", (ROOT / "include/mlc_llm/mlc_llm.h").read_text()))
    check(len(declared) > 10 and exported == declared, "exported", sorted(exported), "declared", sorted(declared))
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", subprocess.run(["readelf", "-d", shared], capture_output=True, text=True, check=True).stdout))
    check(all(re.match(r"(libc|libm|ld-linux.*)\.so\.\d+$", name) for name in needed), needed)


if __name__ == "__main__":
    main([a_program_in_c, it_exports_the_interface_and_needs_libc_and_libm_only])
