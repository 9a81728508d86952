"""`diff` of some phases: their records are paired in order, wherever the others are."""

import pytest

import cmeta


@pytest.fixture
def pair(tmp_path):
    """Two runs with the same validations, after different numbers of training steps."""
    schema = cmeta.default_schema().with_batch_records(16)
    paths = []
    for every in (7, 11):
        path = tmp_path / f"{every}.cmeta"
        with cmeta.Recorder(path, schema, config={"every": every}) as recorder:
            for step in range(40):
                for _ in range(every):
                    recorder.log("train", step=step, loss=every / 8)
                recorder.log("validate", step=step, loss=step / 8, metrics={"acc": step / 100})
        paths.append(path)
    return paths


def test_the_records_of_a_phase_are_paired(pair):
    report = cmeta.diff(*pair, phase="val", fields=["step", "loss", "acc"])
    assert (report.num_records, report.num_compared) == ((40, 40), 40)
    assert (report.same, report.first) == (True, None)
    assert not cmeta.diff(*pair, fields=["step"]).same


def test_a_difference_has_its_ordinal_in_the_first_file(pair, tmp_path):
    other = tmp_path / "other.cmeta"
    with cmeta.open(pair[0]) as run:
        records = list(run)
    values = records[239].as_dict() | {"loss_value": 9.0}
    records[239] = cmeta.CycleRecord(**values)
    cmeta.write(other, records, cmeta.default_schema().with_batch_records(16))
    report = cmeta.diff(pair[0], other, phase=["validate"])
    assert (report.num_differing, report.first.ordinal, report.first.phase) == (1, 239, "validate")
    assert (report.first.a, report.first.b) == (29 / 8, 9.0)
    assert cmeta.diff(pair[0], other, phase="train").same
    configs = cmeta.diff(*pair, phase="val", start=0, end=100).configs
    assert [(c.ordinal, c.key) for c in configs] == [(7, "every")]


def test_a_phase_that_neither_file_has(pair):
    with pytest.raises(ValueError, match="did you mean train"):
        cmeta.diff(*pair, phase="trian")
    report = cmeta.diff(*pair, phase="dream")
    assert (report.num_compared, report.num_records) == (0, (0, 0))
