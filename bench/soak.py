"""`python -m bench.soak`: a recorder killed 200 times, and a run of ten million records.

Kills: a process records small batches and is killed with SIGKILL at random moments; the file is
read after each kill, and in the end must equal that of an uninterrupted run, byte for byte.
Length: 10,000,000 cycles through `Recorder.log`; then validate, audit and iterate over the file.
Peak memory is measured in separate processes, for this run and for one a tenth as long: it is flat
if the difference does not grow with the number of records.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cmeta
from bench.memory import peak

_MIB = 1 << 20
_METRICS = ("entropy", "grad_energy", "val_accuracy", "loss_slope", "risk_score")


def main() -> None:
    """Run the soak test, and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, metavar="N")
    parser.add_argument("--records", type=int, default=10_000_000, metavar="N")
    parser.add_argument("--child", nargs=3, metavar=("WHAT", "PATH", "N"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        what, path, num = options.child
        _child(what, Path(path), int(num))
        return
    with tempfile.TemporaryDirectory(prefix="cmeta-soak-") as folder:
        if options.kills:
            _kills(Path(folder), options.kills)
        if options.records:
            _length(Path(folder), options.records)


# ------------------------------------------------------------------------------------------- kills


def _kills(folder: Path, num_kills: int) -> None:
    path, draw, acknowledged = folder / "killed.cmeta", random.Random(0), 0
    begun = time.monotonic()
    for number in range(num_kills):
        said = _killed(path, draw.random() ** 2 * 0.5)
        with cmeta.open(path) as run:
            num_found = len(run)
        if num_found < max(said, acknowledged):
            sys.exit(f"kill {number}: {said} records acknowledged, {num_found} found")
        acknowledged = num_found
    end = acknowledged + 100
    _run("kill", path, end)
    whole = folder / "whole.cmeta"
    _run("kill", whole, end)
    if path.read_bytes() != whole.read_bytes():
        sys.exit("the file differs from that of an uninterrupted run")
    print(
        f"{num_kills} kills in {time.monotonic() - begun:.0f} s: {end:,} records, none missing or "
        f"doubled; the file of {path.stat().st_size:,} bytes equals the uninterrupted one"
    )


def _killed(path: Path, seconds: float) -> int:
    """Record, kill after a while, and return how many records were acknowledged."""
    with subprocess.Popen(_command("kill", path, 10**9), stdout=subprocess.PIPE) as process:
        pipe: Any = process.stdout
        said = pipe.readline()
        time.sleep(seconds)
        process.kill()
        said += pipe.read()
    lines = said.split(b"\n")[:-1]
    return int(lines[-1]) if lines else 0


def _record_and_say(path: Path, num: int) -> None:
    schema = cmeta.default_schema().with_batch_records(64)
    with cmeta.Recorder(path, schema, mode="resume", seed=1, config={"lr": 0.1}) as recorder:
        for i in range(len(recorder), num):
            _log(recorder, i)
            sys.stdout.buffer.write(b"%d\n" % (i + 1))
            sys.stdout.buffer.flush()


# ------------------------------------------------------------------------------------------ length


def _length(folder: Path, num_records: int) -> None:
    path, short = folder / "long.cmeta", folder / "short.cmeta"
    print(f"{num_records:,} records, and a tenth of them: seconds, and peak memory in MiB")
    for what in ("record", "validate", "audit", "iterate", "read one column"):
        few, many = (
            _run(what, file, num) for file, num in ((short, num_records // 10), (path, num_records))
        )
        per = many["seconds"] / num_records * 1e6
        print(
            f"  {what:16} {many['seconds']:8.1f} s  {per:7.2f} us per record   "
            f"{few['peak'] / _MIB:7.1f} -> {many['peak'] / _MIB:7.1f} MiB  {many['more']}"
        )
    print(f"  the file: {path.stat().st_size:,} bytes")


def _log(recorder: cmeta.Recorder, i: int) -> None:
    value = (i * 2654435761 % 2**32) / 2**32
    metrics = {name: 1 + value + k for k, name in enumerate(_METRICS)}
    recorder.log("train" if i % 10 else "validate", loss=1 + value, metrics=metrics)


def _record(path: Path, num: int) -> str:
    longest = 0.0
    with cmeta.Recorder(path) as recorder:
        for i in range(num):
            begun = time.perf_counter()
            _log(recorder, i)
            longest = max(longest, time.perf_counter() - begun)
        begun = time.perf_counter()
    return f"longest call {longest * 1e3:.0f} ms, close {time.perf_counter() - begun:.2f} s"


def _validate(path: Path, num: int) -> str:
    report = cmeta.validate(path)
    return "" if report.ok and report.num_records == num else f"WRONG: {report}"


def _audit(path: Path, num: int) -> str:
    (report,) = cmeta.audit(path)
    return "" if report.num_records == num else f"WRONG: {report}"


def _iterate(path: Path, num: int) -> str:
    with cmeta.open(path) as run:
        count = sum(1 for _ in run)
    return "" if count == num else f"WRONG: {count}"


def _read(path: Path, num: int) -> str:
    with cmeta.open(path) as run:
        values = run.read(["loss_value"])["loss_value"]
    return "" if len(values) == num else f"WRONG: {len(values)}"


_WORK: dict[str, Callable[[Path, int], str]] = {
    "record": _record, "validate": _validate, "audit": _audit, "iterate": _iterate,
    "read one column": _read,
}  # fmt: skip


def _child(what: str, path: Path, num: int) -> None:
    """Do one task in this process, and print its time and peak memory."""
    if what == "kill":
        _record_and_say(path, num)
        return
    begun = time.monotonic()
    more = _WORK[what](path, num)
    seconds = time.monotonic() - begun
    print(json.dumps({"seconds": seconds, "peak": peak(), "more": more}))


def _command(what: str, path: Path, num: int) -> list[str]:
    return [sys.executable, "-m", "bench.soak", "--child", what, str(path), str(num)]


def _run(what: str, path: Path, num: int) -> Any:
    done = subprocess.run(_command(what, path, num), stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout) if what != "kill" else None


if __name__ == "__main__":
    main()
