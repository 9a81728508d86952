"""Every block of code in the README and the guides runs, and its output is what the page shows.

On a page, blocks of Python share one namespace and one folder. A ``text`` block after a block of
Python is its output; in a ``console`` block, the lines after a line with ``$`` are the output of
that command, on stdout and stderr. ``...`` matches anything. A command must end with exit code 0,
unless ``echo $?`` follows. A section about a framework that is not installed is left out; `make
nightly` installs them all.
"""

import ast
import doctest
import importlib.util
import io
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
GUIDES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
RUNNABLE = {"python", "console", "text"}
FRAMEWORKS = {"keras", "lightning", "optuna", "transformers", "xgboost"}  # may be missing
DATA = {"json", "toml", "csv", ""}  # shown, not run
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    kind: str
    text: str
    line: int
    section: int


def blocks_of(page):
    text = page.read_text("utf-8")
    fences = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [
        Block(
            m[1], m[2], text.count("\n", 0, m.start()) + 2, text.count("\n## ", 0, m.start())
        ) for m in fences
    ]  # fmt: skip


def imported_by(block):
    """Return the libraries that a block of Python imports."""
    nodes = list(ast.walk(ast.parse(block.text))) if block.kind == "python" else []
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


def runnable(blocks, is_installed=lambda name: importlib.util.find_spec(name) is not None):
    """Return the blocks, without the sections that need a framework which is not installed."""
    missing = {name for name in FRAMEWORKS if not is_installed(name)}
    left_out = {block.section for block in blocks if imported_by(block) & missing}
    return [block for block in blocks if block.section not in left_out]


def require_same(expected, output, where):
    same = doctest.OutputChecker().check_output(
        expected.strip() + "\n", output.strip() + "\n", FLAGS
    )
    assert same, f"{where} prints\n{output}\nbut the page shows\n{expected}"


def environment():
    """Return an environment in which a command prints as it does into a pipe."""
    kept = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "FORCE_COLOR"}}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), "WANDB_MODE": "offline"}


def run_console(block, page):
    code = 0
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        while command.endswith("\\"):
            more, _, expected = expected.partition("\n")
            command = command[:-1] + more
        where = f"{page.name}:{block.line}: {command}"
        if command == "echo $?":
            require_same(expected, str(code), where)
            code = 0
            continue
        assert code == 0, f"{where}: the previous command ended with {code}"
        done = subprocess.run(
            command, shell=True, env=environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        code = done.returncode if done.returncode >= 0 else 128 - done.returncode  # as in a shell
        output = done.stdout
        if expected.strip():
            require_same(expected, output, where)
    assert code == 0, f"{page.name}:{block.line}: ended with {code}: {output}"


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_blocks_of_a_guide_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CMETA_CACHE_DIR", str(tmp_path / "cache"))
    names, printed = {"__name__": "guide"}, ""
    for block in runnable(blocks_of(page)):
        where = f"{page.name}:{block.line}"
        if block.kind == "python":
            code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
            with redirect_stdout(io.StringIO()) as out:
                exec(code, names)
            printed = out.getvalue()
        elif block.kind == "text":
            require_same(block.text, printed, where)
        elif block.kind == "console":
            run_console(block, page)


def test_only_the_sections_of_missing_frameworks_are_left_out():
    blocks = blocks_of(DOCS / "frameworks.md")
    without = runnable(blocks, lambda name: name != "optuna")
    assert {block.section for block in blocks} - {block.section for block in without} == {7}
    assert all("optuna" not in block.text for block in without)
    assert runnable(blocks, lambda name: True) == blocks
    assert {"torch", "sklearn"} <= set().union(
        *map(imported_by, runnable(blocks, lambda name: False))
    )


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_a_guide_has_only_blocks_that_are_run_or_are_data(page):
    assert {block.kind for block in blocks_of(page)} <= RUNNABLE | DATA
    assert page.read_text("utf-8").startswith("# ")


def anchors_of(page):
    """Return the anchors of a page's headings, as code hosts and the site make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_of_a_page_lead_to_files_and_headings(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.is_file(), target
        if anchor:
            assert anchor in anchors_of(file), target


def test_the_first_screen_is_short():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert len(readme.splitlines()) <= 110
    assert {block.kind for block in blocks_of(ROOT / "README.md")} >= {"python", "text", "console"}
