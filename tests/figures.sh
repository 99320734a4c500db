#!/bin/sh
# Measures what an issue or the README promises: tests/figures.sh demo|simulator|wire|border|faults|walls|lives|metrics|http2
# A line per figure, "name value bar holds|short"; the status is 1 when one is short. What else it takes: tests/figures/figures.py
exec "$(dirname "$0")/figures/figures.py" "$@"
