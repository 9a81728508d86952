"""A run that was killed, closed and resumed has the bytes of one that never was."""

import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import cmeta
from cmeta.errors import CmetaWarning
from cmeta.testing import records, schemas
from tests.crash.runs import die
from tests.crash.world import QuietDisk
from tests.properties.runs import more

CONFIGS = [None, {"lr": 0.1}, {"lr": 0.2}, {}]
SMALL = cmeta.default_schema().with_batch_records(16)
ENDS = ["kill", "kill", "close"]


@st.composite
def recordings(draw):
    """Draw records, changes of the configuration in force before some, and ends of sessions."""
    schema = draw(st.sampled_from([SMALL, SMALL, None])) or draw(schemas())
    run = draw(records(schema, max_records=45))
    places = st.integers(0, len(run))
    if schema == SMALL:
        alone = draw(st.lists(st.sampled_from([None, *CONFIGS]), min_size=1, max_size=4))
        run = [replace(r, config=alone[i % len(alone)]) for i, r in enumerate(run)]
    configs = st.sampled_from(CONFIGS) if schema.config_field else st.none()
    return {
        "schema": schema,
        "records": run,
        "seed": draw(st.sampled_from([None, 7])),
        "changes": draw(st.dictionaries(places, configs, max_size=3)),
        "ends": draw(st.dictionaries(places, st.sampled_from(ENDS), max_size=4)),
        "flush_every": draw(st.sampled_from([1, 3])),
    }


def record(recording, path, ends):
    """Record a run; `ends` says before which records its process ends, and how."""
    ends, options = dict(ends), {"schema": recording["schema"], "seed": recording["seed"]}
    end, at, config = None, 0, None
    while end != "done":
        rec = cmeta.Recorder(
            path, mode="resume", flush_every=recording["flush_every"], disk=QuietDisk(), **options
        )
        if end == "close" and rec.schema.config_field:  # a closed file does not say it
            rec.config = config
        at, end = len(rec), None
        for i in range(at, len(recording["records"]) + 1):
            if end := ends.pop(i, None):
                break
            if i in recording["changes"]:
                rec.config = recording["changes"][i]
            if i < len(recording["records"]):
                rec.record_cycle(recording["records"][i])
        else:
            end = "done"
        config = rec.config
        if end == "kill":
            die(rec)
        else:
            rec.close()
    return path.read_bytes()


@more(2)
@given(recordings())
def test_kills_and_pauses_change_no_byte(recording):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", CmetaWarning)  # values that lose precision
        expected = record(recording, Path(folder, "whole.cmeta"), {})
        found = record(recording, Path(folder, "run.cmeta"), recording["ends"])
        assert found == expected
        assert cmeta.validate(found).ok


STEPS = st.sampled_from(
    [("log", None)] * 3  # with the configuration in force
    + [("log", config) for config in CONFIGS if config is not None]  # for this record alone
    + [("set", None), ("set", CONFIGS[1]), ("kill", None), ("kill", None), ("close", None)]
)


def follow(steps, path, seed, *, ends):
    """Record by steps; a closed file says what is in force if seeds show which records had it."""

    def opened():
        return cmeta.Recorder(path, SMALL, "resume", seed=seed, flush_every=2, disk=QuietDisk())

    rec, is_shown = opened(), False
    for kind, config in steps:
        if kind == "log":
            rec.log("train", config=config)
            is_shown |= seed is not None and config is None
        elif kind == "set":
            rec.config, is_shown = config, False
        elif ends:
            rec.flush()
            before = rec.config
            die(rec) if kind == "kill" else rec.close()
            rec = opened()
            if kind == "close" and not is_shown:
                rec.config = before
    rec.close()
    return path.read_bytes()


@more(4)
@given(st.lists(STEPS, min_size=10, max_size=40), st.sampled_from([None, 7]))
def test_the_configuration_in_force_outlives_the_process(steps, seed):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", CmetaWarning)  # the guess at a closed file
        whole = follow(steps, Path(folder, "whole.cmeta"), seed, ends=False)
        assert follow(steps, Path(folder, "run.cmeta"), seed, ends=True) == whole
