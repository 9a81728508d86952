"""The stages of a column: each a pair of pure functions, encode and decode, in its own file.

`classes`, `fixed_point` and `lossless` (quantise), `palette`, `split`, `delta`, `rice` with
`sparse`, and `runs`, which puts the last three together. `bits` holds their common helpers. All is
little-endian and modulo 2^64; empty input works.
"""
