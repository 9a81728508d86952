"""The one hierarchy of errors, and how a place is told."""

import copy
import pickle

import pytest

import cmeta
from cmeta.errors import error_context
from cmeta.validate import Finding

PARENTS = {
    "CmetaError": Exception,
    "SchemaError": cmeta.CmetaError,
    "EncodeError": cmeta.CmetaError,
    "OrderError": cmeta.EncodeError,
    "DecodeError": cmeta.CmetaError,
    "TruncatedError": cmeta.DecodeError,
    "UnsupportedVersionError": cmeta.DecodeError,
    "LimitError": cmeta.DecodeError,
    "CorruptError": cmeta.DecodeError,
    "ChecksumError": cmeta.CorruptError,
    "CanonicalError": cmeta.CorruptError,
    "CmetaWarning": UserWarning,
    "PrecisionWarning": cmeta.CmetaWarning,
}
DECODE = ["DecodeError", "TruncatedError", "UnsupportedVersionError", "LimitError", "CorruptError",
          "ChecksumError", "CanonicalError"]  # fmt: skip


@pytest.mark.parametrize(("name", "parent"), PARENTS.items())
def test_the_hierarchy(name, parent):
    assert getattr(cmeta, name).__bases__ == (parent,)


@pytest.mark.parametrize("name", DECODE)
def test_decode_errors_tell_offset_and_path(name):
    error = getattr(cmeta, name)("0 is found, 1 expected", offset=7, path="BATCH[3].phase")
    assert str(error) == "offset 7, BATCH[3].phase: 0 is found, 1 expected"
    assert (error.message, error.offset, error.path) == (
        "0 is found, 1 expected", 7, "BATCH[3].phase",
    )  # fmt: skip
    assert str(getattr(cmeta, name)("gone")) == "offset 0: gone"


def test_schema_errors_tell_source_and_key():
    error = cmeta.SchemaError("found 3", source="mine.toml", key="record.fields[3].type")
    assert str(error) == "mine.toml: record.fields[3].type: found 3"
    assert str(cmeta.SchemaError("found 3")) == "schema: found 3"


@pytest.mark.parametrize(
    ("path", "outer", "whole"),
    [
        ("phase", "BATCH[3]", "BATCH[3].phase"),
        ("[1]", "tensor_signature", "tensor_signature[1]"),
        ("", "INDEX", "INDEX"),
        ("phase", "", "phase"),
    ],
)
def test_an_error_is_placed_inside_what_it_is_part_of(path, outer, whole):
    error = cmeta.CorruptError("wrong", offset=5, path=path)
    assert error.prefixed(100, outer) is error
    assert (error.offset, error.path) == (105, whole)


def test_error_context_places_decode_errors_only():
    with (
        pytest.raises(cmeta.TruncatedError) as caught,
        error_context(100, "SCHEMA"),
        error_context(10),
    ):
        raise cmeta.TruncatedError("gone", offset=1)
    assert (caught.value.offset, caught.value.path) == (111, "SCHEMA")
    with pytest.raises(cmeta.EncodeError, match="wrong"), error_context(100, "SCHEMA"):
        raise cmeta.EncodeError("wrong")


ERRORS = [
    cmeta.ChecksumError("wrong", offset=5, path="BATCH[0]"),
    cmeta.SchemaError("wrong", source="mine.toml", key="record"),
    cmeta.OrderError("wrong"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_come_back_from_other_processes(error):
    """A worker's error is pickled on its way home."""
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_a_finding_is_an_error_written_down():
    finding = Finding.of(cmeta.ChecksumError("wrong", offset=5, path="BATCH[0]"))
    assert finding == Finding(5, "BATCH[0]", "ChecksumError", "wrong")
    assert str(finding) == "offset 5, BATCH[0]: ChecksumError: wrong"
