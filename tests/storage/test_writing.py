"""No module but `cmeta.storage.disk` opens a file for writing, moves or links one."""

import ast
from pathlib import Path

import cmeta

ROOT = Path(cmeta.__file__).parent
HOME = "storage/disk.py"
WRITING = {  # functions and methods that write to a file that they are given by name
    "write_text", "write_bytes", "touch", "truncate", "mkstemp", "NamedTemporaryFile",
    "copy", "copyfile", "copy2", "copytree", "move", "to_csv", "to_parquet", "to_json", "savez",
    "savefig", "tofile", "link", "symlink", "symlink_to", "hardlink_to", "mkfifo", "mknod",
    "FileIO", "FileHandler", "sink_csv", "sink_parquet",
}  # fmt: skip
OF_MODULES = {"os", "shutil", "tempfile", "io", "logging"}  # elsewhere `copy` copies no file
AMBIGUOUS = {"copy", "move", "link", "truncate"}
ALLOWED = {
    ("cli/errors.py", "os.open"): "the null device, in place of a standard output that is gone",
    ("cli/app.py", "open"): "the null device, in place of a standard error that is closed",
    (
        "tools/runs/store.py",
        "sqlite3.connect",
    ): "SQLite opens the catalogue, in the cache folder of the user",
    ("tools/imports/mlflow.py", "sqlite3.connect"): "read only, by its URI",
}


def calls(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield node


def mode_of(call, place):
    """Return the mode in which a call opens a file; "?" where it is computed."""
    given = [k.value for k in call.keywords if k.arg == "mode"] or call.args[place : place + 1]
    if not given:
        return "r"
    return given[0].value if isinstance(given[0], ast.Constant) else "?"


def opens_for_writing(call):
    """Return the name of what opens a file for writing in a call, or None."""
    function = call.func
    if isinstance(function, ast.Name):
        writes = function.id == "open" and set(mode_of(call, 1)) & set("wax+?")
        return "open" if writes else None
    if not isinstance(function, ast.Attribute):
        return None
    owner = function.value.id if isinstance(function.value, ast.Name) else ""
    name = function.attr
    if name == "connect" and ("sqlite" in ast.dump(function.value)):
        return "sqlite3.connect"
    if owner == "os" and name == "open":
        flags = ast.dump(call.args[1])
        return "os.open" if any(f in flags for f in ("O_WRONLY", "O_RDWR", "O_CREAT")) else None
    if name == "open" and call.args and isinstance(call.args[0], ast.Constant):
        mode = call.args[0].value
        return "open" if isinstance(mode, str) and set(mode) & set("wax+") else None
    if name in WRITING and (name not in AMBIGUOUS or owner in OF_MODULES):
        return f"{owner}.{name}"
    return None


def places():
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        for call in calls(path):
            if what := opens_for_writing(call):
                found.setdefault((path.relative_to(ROOT).as_posix(), what), []).append(call.lineno)
    return found


def test_files_are_opened_for_writing_in_one_place():
    found = places()
    elsewhere = {key: lines for key, lines in found.items() if key[0] != HOME}
    assert elsewhere.keys() <= ALLOWED.keys(), elsewhere.keys() - ALLOWED.keys()
    assert {what for home, what in found if home == HOME} >= {"os.open", "open", "os.link"}


def test_the_search_finds_what_it_is_for():
    source = (
        "open(p, 'wb'); open(p, mode=m); path.open('a'); os.open(p, os.O_RDWR | f); "
        "path.write_text(t); shutil.copy(a, b); os.link(a, b); np.savez(p); io.FileIO(p); "
        "_sqlite().connect(p)"
    )
    found = [opens_for_writing(node) for node in ast.walk(ast.parse(source)) if is_call(node)]
    assert len([name for name in found if name]) == 10
    harmless = "open(p); path.open('rb'); os.open(p, os.O_RDONLY); stats.copy(); file.open(block)"
    assert not any(opens_for_writing(n) for n in ast.walk(ast.parse(harmless)) if is_call(n))


def is_call(node):
    return isinstance(node, ast.Call)
