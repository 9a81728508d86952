"""Files to import, and their imports."""

import pytest
from click.testing import CliRunner

import cmeta
from cmeta.cli.app import cli
from cmeta.tools.imports.import_run import import_run
from tests.fixtures.load import load


class Import:
    """A report and its chronicle."""

    def __init__(self, report, path):
        self.report, self.path = report, path
        with cmeta.open(path) as run:
            self.columns = run.read()
            self.schema, self.configs = run.schema, run.configs

    def values(self, name):
        """Return a column as Python values, None where absent."""
        there = self.columns.present[name].tolist()
        found = self.columns[name].tolist()
        return [value if is_there else None for value, is_there in zip(found, there, strict=True)]


@pytest.fixture
def imported(tmp_path):
    """Import a file, validate the chronicle, and read it."""

    def run(source, **options):
        path = tmp_path / "imported.cmeta"
        report = import_run(source, path, replace=True, **options)
        found = cmeta.validate(path)
        assert found.ok, found
        assert report.num_records == found.num_records
        return Import(report, path)

    return run


@pytest.fixture
def written(tmp_path):
    """Return the path of a copy of another tool's files, by the name of the fixture."""
    return lambda name: load(name, tmp_path)


@pytest.fixture
def text(tmp_path):
    """Write a file of text, and return its path."""

    def write(name, *lines, end="\n"):
        path = tmp_path / name
        path.write_text("\n".join(lines) + end, encoding="utf-8")
        return path

    return write


@pytest.fixture
def cm():
    """Run the command line in this process; it must succeed."""

    def run(*args):
        result = CliRunner().invoke(cli, [str(arg) for arg in args])
        assert result.exit_code == 0, result.stderr
        return result

    return run
