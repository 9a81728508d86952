"""Fuzzers. If atheris is installed, importing this package instruments cmeta for it."""

try:
    import atheris
except ImportError:
    atheris = None
else:
    with atheris.instrument_imports(include=["cmeta"]):
        import cmeta.testing  # noqa: F401
