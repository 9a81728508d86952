"""Measurements: how small and how fast cmeta is, beside what else one keeps telemetry in.

`python -m bench` measures everything, keeps it under `out/bench`, and writes RESULTS.md and
results.svg; `--only` and `--records` measure a part and print it; `--render` makes text and
picture anew. A goal is printed beside its figure, never asserted: sizes are exact, times are those
of one machine.
"""
