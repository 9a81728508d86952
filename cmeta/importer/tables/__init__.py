"""Tables of names and values, as JSON lines, CSV and Parquet have them: from raw columns to fields.

`raw` collects what a source holds, `stated` and `foreign` make columns of it - of what cmeta itself
wrote, and of anybody else's -, by `naming`, `typed`, `metrics` and `clock`; `preamble` is what goes
before the lines of a whole chronicle.
"""
