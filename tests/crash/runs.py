"""The run that these tests record, and the check of the files that a crash leaves.

A crash may lose records that were not acknowledged, and nothing else; continuing must give the
same bytes as a run that was never interrupted.
"""

from pathlib import Path

import cmeta
from cmeta.format.grammar import grammar_of
from cmeta.schema.load import shipped_format
from cmeta.source import BytesSource
from cmeta.storage.open import file_state
from tests.crash.world import QuietDisk, put

SCHEMA = cmeta.Schema.load(Path(__file__).with_name("schema.toml"))
LARGER = SCHEMA.with_batch_records(64)
CONFIGS = ({"lr": 0.1}, {"lr": 0.01}, {"lr": 0.001})
NAME = "run.cmeta"
SIDE = "run.dropped-from-{}-1.cmeta"


def cycle(i):
    """Return what the run logs in cycle `i`: late and rare metrics, three configurations."""
    metrics = {}
    if i % 7 == 3:
        metrics |= {"late/b": float(i), "late/a": float("nan")}
    if i >= 50:
        metrics[f"m{i // 10 % 20}"] = 1.0
    return {
        "phase": "validate" if i % 10 == 9 else "train",
        "loss": 1 / (i % 89 + 1) if i % 13 else float("inf"),
        "metrics": metrics,
        "tensor_signature": (0.125, -0.25, i / 8),
        "seed_state": 2**64 - 1 - i,
        "config": CONFIGS[i // 30 % 3],
    }


def log(recorder, i, **stated):
    fields = cycle(i) | stated
    recorder.log(fields.pop("phase"), **fields)


def record(recorder, start, end, disk=None, flush_every=1):
    """Log cycles, and mark on the disk how many are acknowledged."""
    for i in range(start, end):
        log(recorder, i)
        if disk is not None and (i + 1 - start) % flush_every == 0:
            disk.mark(i + 1)


def whole(folder, num_records, start=0, schema=SCHEMA):
    """Return the bytes of a run that was never interrupted."""
    folder.mkdir(exist_ok=True)
    path = folder / f"whole-{start}-{num_records}.cmeta"
    if not path.exists():
        with cmeta.Recorder(path, schema, disk=QuietDisk()) as recorder:
            log(recorder, start, timestamp=start)
            record(recorder, start + 1, num_records)
    return path.read_bytes()


def state_after(folder, num_records):
    """Return the state that a checkpoint after that many records of the run holds."""
    folder.mkdir(exist_ok=True)
    path = folder / f"state-{num_records}.cmeta"
    with cmeta.Recorder(path, SCHEMA, mode="replace", disk=QuietDisk()) as recorder:
        record(recorder, 0, num_records)
        return recorder.state_dict()


def num_readable(folder):
    """Return the number of readable records, after checking that each is the one logged."""
    path = folder / NAME
    if not path.exists():
        return 0
    with cmeta.open(path) as run:
        found = run.read(["seed_state", "loss_value", "config"])
        num_records = len(run)
        configs = [run.configs[number] for number in found["config"]]
    assert found["seed_state"].tolist() == [cycle(i)["seed_state"] for i in range(num_records)]
    assert configs == [cycle(i)["config"] for i in range(num_records)]
    return num_records


class Check:
    """Checks the files that crashes leave.

    Reader and recorder depend only on the trusted part of the main file and on the rows of the
    journal. So of states that agree in those, one in ten is read and continued; of the others only
    that part is checked against the acknowledged records.
    """

    def __init__(self, folder, expected, num_records, **options):
        self.folder, self.expected, self.num_records = folder, expected, num_records
        self.options = {"schema": SCHEMA, "mode": "resume", **options}
        self.known = {}
        folder.mkdir(exist_ok=True)

    def all(self, states):
        """Check each state once, with the most records that were acknowledged when it arose."""
        most = {}
        for acknowledged, content in states:
            most[content] = max(acknowledged, most.get(content, 0))
        for content, acknowledged in most.items():
            self.one(content, acknowledged)
        return len(most)

    def one(self, content, acknowledged):
        """Read, continue, and compare."""
        trusted, num_records = trusted_part(dict(content))
        assert acknowledged <= num_records <= self.num_records
        if self.is_new(trusted):
            put(self.folder, content)
            assert num_readable(self.folder) == num_records
            self.continue_(num_records)

    def is_new(self, trusted):
        """Return whether to continue a state: the first of its kind, then one in ten."""
        self.known[trusted] = self.known.get(trusted, -1) + 1
        return self.known[trusted] % 10 == 0

    def continue_(self, num_records):
        """Record the rest, and compare with the run that was never interrupted."""
        with cmeta.Recorder(self.folder / NAME, disk=QuietDisk(), **self.options) as recorder:
            assert len(recorder) == num_records
            record(recorder, num_records, self.num_records)
        assert (self.folder / NAME).read_bytes() == self.expected
        assert all(path.suffix == ".cmeta" for path in self.folder.iterdir())


def trusted_part(content):
    """Return everything that a recorder continues from, and the number of records in it.

    Parameters
    ----------
    content : dict of str to bytes
        A folder.
    """
    data, journal = content.get(NAME), content.get(f"{NAME}-journal")
    main = None if data is None else BytesSource(data)
    rows = None if journal is None else BytesSource(journal)
    standing = file_state(main, rows, grammar_of(shipped_format()))
    assert standing.kind in ("absent", "closed", "open"), standing.problem
    if standing.map is None:
        return None, 0
    sealed = int(standing.map.table["records_count"].sum())
    if standing.journal is None:
        return data, sealed
    found = standing.journal
    tables = (tuple(found.tables.configs.items()), tuple(found.tables.names.items()))
    rows = (tuple(found.bodies), tables, found.config_in_force)
    trusted = (data[: found.header.base_length], *rows)
    return trusted, sealed + len(found.bodies)


def die(recorder):
    """Leave everything as it is, as a killed process would."""
    recorder._session._end()
    recorder._session._sealer.stop()
