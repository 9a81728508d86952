"""Every block of Python in the README runs, one after the other, and says what it should; what it
quotes of the bench is what stands there.
"""

import re
from pathlib import Path

from bench.quote import in_step, quote

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"


def test_the_blocks_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(
        r"^```python\n(.*?)^```", README.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert len(blocks) >= 4
    names: dict = {"columns": {"phase": ["train"], "metrics.lr": [0.1]}}
    for number, block in enumerate(blocks):
        exec(compile(block, f"README.md, block {number}", "exec"), names)
    said = capsys.readouterr().out
    assert "1000 validate 0.0199999" in said
    assert "1001 records in 1 batches" in said
    assert "1 record moved to run.dropped-from-1001-1.cmeta" in said
    assert "exact: 1,000 cycles, 2,000 values compared" in said


def test_what_it_quotes_of_the_bench_stands_there():
    text = README.read_text("utf-8")
    results = (ROOT / "bench" / "RESULTS.md").read_text("utf-8")
    assert in_step(text, results) == text
    assert quote(results) in text
    assert (ROOT / "bench" / "results.svg").exists()
