"""Fuzzers. Importing this package instruments cmeta, where atheris is there to be guided by it."""

try:
    import atheris
except ImportError:
    atheris = None
else:
    with atheris.instrument_imports(include=["cmeta"]):
        import cmeta.testing  # noqa: F401
