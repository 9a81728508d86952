"""`diff` of files that are still open: their journals count."""

import cmeta
from cmeta.tools.diff.diff import diff


def test_an_open_file_is_compared_with_its_journal(tmp_path):
    schema = cmeta.default_schema().with_batch_records(16)
    paths = [tmp_path / name for name in ("open.cmeta", "closed.cmeta")]
    recorders = [cmeta.Recorder(path, schema, seed=7) for path in paths]
    for rec in recorders:
        for i in range(50):
            with rec.cycle("train") as c:
                c.log(loss=float(c.rng.random()), metrics={"top5": i / 3})
    recorders[1].close()
    with cmeta.open(paths[0]) as run:
        assert run.state == "open" and run.has_journal
    found = diff(*paths)
    assert (found.verdict, found.num_records) == ("equal", (50, 50))
    recorders[0].log("train", loss=0.5)
    assert diff(*paths).num_behind == (1, 0)
    recorders[0].close()


def test_open_files_whose_journals_alone_differ(tmp_path):
    recorders = [cmeta.Recorder(tmp_path / f"{i}.cmeta", seed=7) for i in range(2)]
    for i, rec in enumerate(recorders):
        rec.log("train", loss=i)
    paths = [rec.path for rec in recorders]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert diff(*paths).verdict == "differs"
    for rec in recorders:
        rec.close()
