"""The generator of everything that repeats the schema: tables and dumps of SPEC.md, JSON Schema.

Internal; run it in a checkout. ``python -m tools.specgen`` rewrites what is generated, ``--check``
tells whether it is in step, ``--vectors`` rewrites the golden files. `facts` is what there is to
say, `layouts`, `constants` and `record` say it in tables, `annotate` and `column` explain files
byte for byte, `sections` puts it all between the markers of SPEC.md.
"""
