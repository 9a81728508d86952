"""Measurements: how small and how fast cmeta is, beside pcodec and Parquet on the same telemetry.

`python -m bench` measures everything and writes RESULTS.md; `python -m bench.sizes` and
`python -m bench.speed` print one part. A goal is printed beside its figure, never asserted: sizes
are exact, times are those of one machine.
"""
