#!/usr/bin/env python3
"""The README's example must be the one that CI compiles: the part of tests/consumer/examples/embed.cpp between its markers."""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parents[2]
quoted = re.search(r"```cpp\n(.*?)```", (root / "README.md").read_text(), re.S)
parts = (root / "tests/consumer/examples/embed.cpp").read_text().split("// [embed]\n")
if len(parts) != 3 or not quoted or quoted.group(1) != parts[1]:
    print("readme: the example in README.md differs from tests/consumer/examples/embed.cpp between its [embed] markers")
    sys.exit(1)
print("readme: quotes tests/consumer/examples/embed.cpp")
