"""The shape of the package: imports point downward, modules are small, the API is documented."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cmeta

PACKAGE = Path(cmeta.__file__).parent
ROOT = PACKAGE.parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# From the ground up, room by room: a module may import from its own room and from those before it.
ROOMS = (
    "safe_text", "errors", "aliases", "source", "vocabulary", "extras", "schema", "records", "format", "storage", "query",
    "reader", "write", "validate", "compare", "recorder", "tools", "chronicle", "cli", "__main__",
)  # fmt: skip
HEIGHT = {name: height for height, name in enumerate(ROOMS)}
ABOVE_ALL = {"testing"}  # for users' tests: it may import everything, and nothing imports it


def dotted(path):
    """Return a module's name below the package, such as ``format.column``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported(path):
    """Return the names below the package that a module imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("cmeta.") for name in found if name.startswith("cmeta.")}


INNER = [path for path in MODULES if dotted(path)]  # all but the package itself, which re-exports


@pytest.mark.parametrize("path", INNER, ids=dotted)
def test_imports_point_downward(path):
    own = dotted(path).split(".")[0]
    if own in ABOVE_ALL:
        return
    assert own in HEIGHT, f"{own} is not in ROOMS"
    for name in imported(path):
        other = name.split(".")[0]
        assert other not in ABOVE_ALL, f"{own} imports {name}"
        assert HEIGHT[other] <= HEIGHT[own], f"{own} imports {name}"


def test_within_the_package_no_imports_go_round():
    """A module is complete before another needs it: no cycle at import time."""
    graph = {dotted(path): top_level_imports(path) for path in INNER}
    known = set(graph)
    state = {}

    def visit(name, trail):
        if state.get(name) == "done":
            return
        assert state.get(name) != "open", " > ".join([*trail, name])
        state[name] = "open"
        for other in graph[name] & known:
            visit(other, [*trail, name])
        state[name] = "done"

    for name in known:
        visit(name, [])


def top_level_imports(path):
    """Return the modules that are imported as soon as this one is, packages left aside."""
    tree = ast.parse(path.read_text("utf-8"))
    names = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cmeta"):
            module = node.module.removeprefix("cmeta").lstrip(".")
            for alias in node.names:
                inner = f"{module}.{alias.name}".lstrip(".")
                is_module = (PACKAGE / inner.replace(".", "/")).with_suffix(".py").exists()
                names.add(inner if is_module else module)
    own = dotted(path)
    packages = {own.rpartition(".")[0], own}
    return {name for name in names if name and name not in packages}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: dotted(p) or "cmeta")
def test_modules_say_what_they_are(path):
    text = path.read_text("utf-8")
    assert ast.get_docstring(ast.parse(text)), f"{path} does not say what it is"


@pytest.mark.parametrize("name", cmeta.__all__)
def test_the_public_names_exist_and_are_documented(name):
    thing = getattr(cmeta, name)
    assert thing.__doc__
    assert thing.__doc__.strip()
    for attribute, member in vars(thing).items() if isinstance(thing, type) else ():
        if not attribute.startswith("_") and callable(member):
            assert member.__doc__, f"{name}.{attribute}"


def test_the_public_names_are_all_there_are():
    modules = {dotted(path).split(".")[0] for path in MODULES}
    public = {name for name in dir(cmeta) if not name.startswith("_")}
    named = (public - modules - {"TYPE_CHECKING", "import_module"}) | (
        modules & {"validate", "write"}
    )
    assert named == set(cmeta.__all__)
    assert callable(cmeta.write)
    assert callable(cmeta.validate)  # the functions, not the modules of their names
    assert len(set(cmeta.__all__)) == len(cmeta.__all__)
    assert re.fullmatch(r"\d+\.\d+\.\d+", cmeta.__version__)


def test_what_is_imported_later_is_what_the_types_say():
    tree = ast.parse(Path(cmeta.__file__).read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    said = {alias.name: node.module for node in block.body for alias in node.names}
    assert said == cmeta._LATER
    with pytest.raises(AttributeError, match="module 'cmeta' has no attribute 'nothing'"):
        cmeta.nothing  # noqa: B018


def test_every_module_can_be_imported_by_itself():
    names = [f"cmeta.{dotted(path)}" for path in INNER if dotted(path).split(".")[0] != "__main__"]
    for name in names:
        importlib.import_module(name)


HEAVY = ("click", "rich", "hypothesis", "pyarrow", "pandas", "sklearn", "tomllib", "pytest")


def test_importing_the_package_loads_no_command_line():
    code = f"import cmeta, sys; print([m for m in {HEAVY} if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


# What recording does not need: "Parts are imported when they are asked for" in ARCHITECTURE.md.
LATER = (
    "cmeta.compare", "cmeta.recorder.verify_session", "cmeta.recorder.verification",
    "cmeta.recorder.verify_plan", "cmeta.query", "cmeta.reader.condition", "cmeta.records.arrow",
    "cmeta.tools.replay", "cmeta.cli", "json", "difflib", "sqlite3", "multiprocessing",
)  # fmt: skip


def test_recording_loads_no_comparison(tmp_path):
    code = f"""
import sys, cmeta
with cmeta.Recorder(sys.argv[1], config={{"lr": 0.1}}) as rec:
    rec.log("train", loss=0.5, metrics={{"acc": 1.0}})
    assert rec.verified is None and "recording" in repr(rec)
print([m for m in {LATER} if m in sys.modules])
"""
    command = [sys.executable, "-c", code, str(tmp_path / "run.cmeta")]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_reading_and_writing_load_no_command_line(tmp_path):
    code = f"""
import sys, cmeta
path = sys.argv[1]
cmeta.write(path, {{"phase": ["train"]}})
with cmeta.open(path) as run:
    assert len(run.read()["phase"]) == 1
assert cmeta.validate(path).ok
print([m for m in {HEAVY} if m in sys.modules])
"""
    command = [sys.executable, "-c", code, str(tmp_path / "run.cmeta")]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# Marks of unfinished work, and of the place and the occasion at which something was written.
FORBIDDEN = re.compile(
    r"\b(TODO|FIXME|XXX|HACK)\b|\bth(?:e|is)\s+(?:issue|ticket|brief|prompt)\b"
    r"|(?<![\w.\[/])/(?:home|root|work|mnt|Users)/|/tmp/w"
)
SOURCES = [
    path
    for folder in ("cmeta", "schema", "tests", "fuzz", "bench", "examples", "tools")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".toml", ".md"} and path != Path(__file__)
] + sorted(ROOT.glob("*.md"))


def test_no_file_speaks_of_how_it_came_about():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in SOURCES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if FORBIDDEN.search(line)
    ]
    assert found == []


def test_documents_that_the_code_names_exist():
    for path in MODULES:
        for name in re.findall(r"\b[A-Z]\w+\.md\b", path.read_text("utf-8")):
            assert (ROOT / name).exists(), f"{path.relative_to(ROOT)} names {name}"


def test_the_bytes_have_one_truth():
    """Magic numbers of the format stand in the schema, not in Python."""
    numbers = {0x0C0DA55E, 0x4A0DA55E, 0x42F0E1EBA9EA3693, 0x9E3779B97F4A7C15, 0x995DC9BBDF1939FA}
    numbers |= {0xC96C5795D7870F42}
    for path in INNER:
        if dotted(path).split(".")[0] in ABOVE_ALL:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        constants = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
        assert not {c for c in constants if type(c) is int} & numbers, path


def test_architecture_md_names_the_rooms_there_are_in_their_order():
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    tree = re.search(r"^```\ncmeta/\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1]
    named = re.findall(r"^  (\w+)  ", tree, re.MULTILINE)
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert set(named) == there - {"__init__", "__main__", "__pycache__"}
    assert [name for name in named if name in HEIGHT] == [n for n in ROOMS if n != "__main__"]


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_the_modules_that_a_page_names_exist(page):
    text = (ROOT / page).read_text("utf-8")
    for name in re.findall(r"`([\w/]+\.(?:py|toml|md))`", text):
        assert (PACKAGE / name).exists() or (ROOT / name).exists(), f"{page} names {name}"
    for name in re.findall(r"`((?:cmeta|tests|tools|docs|[a-z]+)/[\w/]*)/?`", text):
        is_built = name.startswith("out/")
        assert is_built or (PACKAGE / name).is_dir() or (ROOT / name).is_dir(), f"{page}: {name}"


# What reads a file in another way, and why it may.
OTHER_READERS = {
    "cmeta/source.py": "the opener itself",
    "cmeta/storage/disk.py": "writes, or syncs a folder",
    "cmeta/storage/lock.py": "the lock is created and locked, not read",
    "cmeta/cli/app.py": "/dev/null, to write to",
    "cmeta/cli/errors.py": "/dev/null, to write to",
}


def opens_a_file(node):
    """Return whether a call opens a file to read it, without the one opener."""
    if not isinstance(node, ast.Call):
        return False
    called = node.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    if name in ("read_text", "read_bytes", "memmap", "fromfile", "mmap"):
        return True
    owner = called.value if isinstance(called, ast.Attribute) else None
    is_module = isinstance(owner, ast.Name) and owner.id in ("os", "io", "gzip", "bz2", "lzma")
    if name != "open" or not (owner is None or is_module or path_like(owner)):
        return False
    modes = [a.value for a in node.args if isinstance(a, ast.Constant)]
    if any(isinstance(mode, str) and mode.startswith(("w", "x", "a")) for mode in modes):
        return False
    is_new = "O_EXCL" in ast.unparse(node)
    return not is_new and not any(keyword.arg == "opener" for keyword in node.keywords)


def path_like(owner):
    """Return whether what is opened looks like a path, by its name."""
    text = ast.unparse(owner).lower()
    return any(word in text for word in ("path", "file", "source", "folder", "content"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_one_opener_of_files_that_are_read(path):
    """`cmeta.source.regular_file` waits for no FIFO and reads no device."""
    name = path.relative_to(ROOT).as_posix()
    if name in OTHER_READERS or dotted(path).split(".")[0] in ABOVE_ALL:
        return
    tree = ast.parse(path.read_text("utf-8"))
    assert [node.lineno for node in ast.walk(tree) if opens_a_file(node)] == []
