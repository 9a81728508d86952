"""Benchmarks: cmeta's sizes and times compared with those of its competitors.

`python -m bench` measures everything, keeps the results under `out/bench`, and writes RESULTS.md
and results.svg; `--only` and `--records` measure a part and print it; `--render` renders stored
results. Goals are printed next to their figures, never asserted: sizes are exact, times are those
of one machine.
"""
