"""`python -m bench`: measure everything and write bench/RESULTS.md.

`--quick` measures short runs in a few rounds and prints only. Meant for a machine with nothing else
to do: the first lines of the results say how busy it was.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

import bench
from bench import recording, sizes, speed
from bench.report import Table

RESULTS = Path(__file__).with_name("RESULTS.md")
_LIBRARIES = ("numpy", "construct", "fastcrc", "msgspec", "pcodec", "pyarrow", "scikit-learn")


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=bench.__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs, few rounds, no file")
    parser.add_argument("--output", type=Path, help=f"default: {RESULTS.name}; none if quick")
    options = parser.parse_args()
    output = options.output or (None if options.quick else RESULTS)

    head = _head(options.quick)
    sections = [
        part for topic in (recording, speed, sizes) for part in topic.measure(options.quick)
    ]
    rows = [[section.title, *goal.row()] for section in sections for goal in section.goals]
    goals = Table("All goals", ["section", "goal", "found", "at most", "verdict"], rows)
    text = "\n".join([head, goals.render(), *(section.render() for section in sections)])
    print(text)
    if output:
        output.write_text(text)
        print(f"written to {output}", file=sys.stderr)


def _head(quick: bool) -> str:
    """Return the heading: machine, versions, date and commands."""
    load = f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"
    libraries = ", ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES)
    lines = [
        f"- Date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        f"- Machine: {_processor()}, {os.cpu_count()} cores, load at the start {load}",
        f"- System: {platform.system()} {platform.release()}, {platform.machine()}",
        f"- Python {platform.python_version()}, {libraries}",
        f"- Commands: `python -m bench{' --quick' if quick else ''}` for all of it; "
        "`python -m bench.sizes`, `python -m bench.speed` for a part",
    ]
    remark = (
        "Sizes are exact for the telemetry at hand, which a training run in floating point "
        "reproduces on the same stack only. Times are of this machine; compare ratios."
    )
    return "# Results\n\n" + "\n".join(lines) + f"\n\n{remark}\n"


def _processor() -> str:
    """Return the name of the processor, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


if __name__ == "__main__":
    main()
