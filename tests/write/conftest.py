"""Writing to a file and reading it back, and writing what must be refused."""

import pytest

import cmeta


@pytest.fixture
def target(tmp_path):
    """Return the path of a file that does not exist yet, alone in its folder."""
    return tmp_path / "run.cmeta"


@pytest.fixture
def roundtrip(target):
    """Write columns or records, check the file, and return what reading gives."""

    def write_and_read(columns, schema=None, **options):
        cmeta.write(target, columns, schema, **options)
        report = cmeta.validate(target)
        assert report.ok, str(report)
        with cmeta.open(target) as run:
            return run.read()

    return write_and_read


@pytest.fixture
def refuse(target):
    """Write what must be refused: the message has these words, and nothing is half-written."""

    def write_in_vain(columns, words, schema=None, *, error=cmeta.EncodeError, **options):
        target.write_bytes(b"what was there before")
        with pytest.raises(error) as caught:
            cmeta.write(target, columns, schema, **options)
        for word in words:
            assert word in str(caught.value)
        assert target.read_bytes() == b"what was there before"
        assert [path.name for path in target.parent.iterdir()] == [target.name]

    return write_in_vain
