#!/bin/sh
# How many compilers to run at once: one per processor, as far as memory goes (a file full of Beast takes 1.5 GB under ASan).
# JIRAPOOL_JOBS overrides it.
if [ -n "${JIRAPOOL_JOBS:-}" ]; then echo "$JIRAPOOL_JOBS"; exit; fi
processors=$(nproc)
fitting=$(awk '/^MemAvailable:/ { print int($2 / 1500000) }' /proc/meminfo)
jobs=$((fitting < processors ? fitting : processors))
echo $((jobs < 1 ? 1 : jobs))
