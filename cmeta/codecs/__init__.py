"""Columns: small invertible stages, each a pair of pure functions in a file of its own.

`classes`, `fixed_point` and `lossless` (quantise), `palette`, `split`, `delta`, `rice` with
`sparse` and `run_header`. `plan` is the rule by which a writer chooses, `adapters` composes the
stages into the construct of a column. All is little-endian and modulo 2^64; empty input works.
"""
