"""What a file gives to someone who reads all of it, and the one rule that holds for any bytes."""

import cmeta
from cmeta.testing.values import to_bytes


def read_all(data):
    """Open a file and read everything in every way; return it in a form that can be compared."""
    with cmeta.open(data) as reader:
        configs, names = reader.configs, reader.names
        read = reader.read()
        records = list(reader)
        arrays = {
            path: (array.dtype.str, array.tobytes(), read.present[path].tobytes())
            for path, array in read.items()
        }
        return reader.schema, configs, names, arrays, records


def outcome(data):
    """Return what a file gives, or the error; no other error leaves."""
    try:
        return read_all(data)
    except cmeta.DecodeError as err:
        assert err.path
        assert 0 <= err.offset <= len(data)
        return err


def findings(data, *, canonical=True):
    """Return the report on a file that must have some, each of them with its place."""
    report = cmeta.validate(data, canonical=canonical)
    for finding in report.findings:
        assert finding.path, str(report)
        assert 0 <= finding.offset <= len(data), str(report)
        assert issubclass(getattr(cmeta, finding.kind), cmeta.DecodeError)
    return report


def assert_bounded(data):
    """Hold whatever bytes against the rule: errors of ours only, and valid means canonical."""
    found = outcome(data)
    report = findings(data)
    if report.ok:
        assert not isinstance(found, Exception), f"valid, but {found}"
        with cmeta.open(data) as reader:
            if not reader.header.is_newer:
                assert to_bytes(reader.read(), reader.schema) == data
    return found, report
