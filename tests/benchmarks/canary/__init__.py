"""How good is the judge? Thousands of simulated roll-outs, judged by it and by the rules that others document.

`python -m tests.benchmarks.canary` prints the tables; docs/canary-benchmark.md tells how to read them.
"""
