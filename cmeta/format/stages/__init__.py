"""The stages of a column: small and invertible, each a pair of pure functions in its own file.

`classes`, `fixed_point` and `lossless` (quantise), `palette`, `split`, `delta`, `rice` with
`sparse` and `run_header`. All is little-endian and modulo 2^64; empty input works.
"""
