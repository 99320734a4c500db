#!/usr/bin/env python3
"""A README's example must be one that CI compiles: the part of a file of tests/consumer/examples between its markers."""
import pathlib
import sys
import textwrap

root = pathlib.Path(__file__).resolve().parents[2]
problems = []
for readme, example in (("README.md", "embed"), ("pool/README.md", "events"), ("pool/README.md", "logs")):
    parts = [p.rstrip(" ") for p in (root / f"tests/consumer/examples/{example}.cpp").read_text().split(f"// [{example}]\n")]
    if len(parts) != 3 or f"```cpp\n{textwrap.dedent(parts[1])}```" not in (root / readme).read_text():
        problems.append(f"readme: the example in {readme} differs from tests/consumer/examples/{example}.cpp between its [{example}] markers")
print("\n".join(problems) or "readme: the examples in README.md and pool/README.md are those that are compiled")
sys.exit(1 if problems else 0)
