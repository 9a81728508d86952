"""Generates everything that repeats the schema: tables and dumps of SPEC.md, the JSON Schema.

Run it in a checkout. ``python -m tools.specgen`` rewrites what is generated, ``--check`` reports
whether it is up to date, ``--vectors`` rewrites the golden files. `facts` has the content of the
schema file; `layouts`, `constants` and `record` make tables of it; `annotate` and `column` explain
files byte for byte; `sections` puts all between the markers of SPEC.md.
"""
