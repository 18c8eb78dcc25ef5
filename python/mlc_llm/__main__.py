# SPDX-License-Identifier: Apache-2.0
"""`python -m mlc_llm …` and the script `mlc_llm`: the program of the package takes the place of this process."""
from __future__ import annotations

import os
import sys

from mlc_llm._program import program_path


def main() -> None:
    """Runs the program with the arguments of this process; does not return."""
    sys.stdout.flush()
    sys.stderr.flush()
    path = program_path()
    os.execv(path, [path, *sys.argv[1:]])


if __name__ == "__main__":
    main()
