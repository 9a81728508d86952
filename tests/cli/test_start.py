"""Each command imports only the libraries it needs."""

import pytest

# What takes long to import, and who may need it.
HEAVY = {
    "rich", "sqlite3", "pyarrow", "pandas", "polars", "plotext", "matplotlib", "torch", "hypothesis",
    "tensorboard", "wandb", "multiprocessing", "concurrent.futures.process", "platformdirs",
    "tools.specgen", "cmeta.testing",
}  # fmt: skip

SHOW = """
import sys
from cmeta.cli import main
try:
    main()
finally:
    print(*sorted(set({heavy}) & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "args",
    [
        ("--version",),
        ("--help",),
        ("info", "--json", "FILE"),
        ("info", "--quick", "--json", "FILE"),
        ("validate", "FILE"),
        ("cat", "--json", "FILE"),
        ("cat", "--format", "csv", "FILE"),
        ("head", "--json", "FILE"),
        ("query", "--json", "FILE", "loss_value < 1"),
        ("diff", "FILE", "FILE"),
        ("completion", "bash"),
        ("schema", "check", "FILE"),
    ],
    ids=" ".join,
)
def test_unneeded_libraries_are_not_imported(process, chronicle, args):
    given = [chronicle if arg == "FILE" else arg for arg in args]
    started = process(*given, python=("-c", SHOW.format(heavy=sorted(HEAVY))))
    out, err = started.communicate(timeout=60)
    assert started.returncode == 0
    assert err.decode().strip() == ""
    assert out


def test_only_the_invoked_command_is_imported(process, chronicle):
    code = SHOW.replace("set({heavy}) & ", "").replace(
        "set(sys.modules)", "{{m for m in sys.modules if m.startswith('cmeta.cli.commands.')}}"
    )
    _, err = process("info", "--json", chronicle, python=("-c", code.format())).communicate(
        timeout=60
    )
    assert err.split() == [b"cmeta.cli.commands.info"]
