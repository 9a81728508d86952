"""The documents quote the figures of bench/RESULTS.md and the limits of the schema as they are there."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from bench.quote import PAGE, SIZES, in_step, picture, quote, sizes
from cmeta import default_schema

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def results():
    return (ROOT / "bench" / "RESULTS.md").read_text("utf-8")


def test_the_table_of_ratios_is_in_step(results):
    page = PAGE.read_text("utf-8")
    assert in_step(page, results) == page
    assert quote(results) in page
    assert in_step(page.replace("0.322", "0.321"), results) == page
    assert (ROOT / "bench" / "results.svg").exists()


def test_the_picture_of_sizes_is_in_step(results):
    assert SIZES.read_text("utf-8") == picture(results)
    ElementTree.fromstring(picture(results))
    assert f"({SIZES.relative_to(ROOT).as_posix()})" in README


def test_a_size_is_of_the_longest_telemetry_on_which_it_was_measured(results):
    found = sizes(results)
    assert next(iter(found)) == "cmeta"
    assert found["cmeta"][1] == "1,000,000"
    assert {length for _, length in found.values()} == {"1,000,000", "100,000", "1,000"}
    assert list(found.values()) == sorted(found.values(), key=lambda size: size[0])


def test_the_sizes_that_the_readme_states_are_those_of_the_bench(results):
    text = " ".join(README.split())
    (stated,) = re.findall(r"fourteen noisy values takes (\d+) bytes", text)
    (share,) = re.findall(r"1/(\d+) of a TensorBoard log", text)
    found = {name: size for name, (size, _) in sizes(results).items()}
    assert round(found["cmeta"]) == int(stated)
    assert "a third of plain Parquet" in text
    assert 3 <= found["Parquet, plain"] / found["cmeta"] < 3.5
    ratio = re.search(r"^\| TensorBoard \| ([\d.]+)‡", quote(results), re.MULTILINE)
    assert round(1 / float(ratio[1])) == int(share)


def test_the_limits_are_those_of_the_schema():
    page = (ROOT / "docs" / "limits.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", page, re.MULTILINE))
    limits = default_schema().format.limits
    assert rows["records in a file"] == f"{limits.records_count_max:,}"
    assert rows["records in a batch"] == (
        f"{limits.batch_records_min} to {limits.batch_records_max:,}; "
        f"{default_schema().batch_records:,} unless the schema says otherwise"
    )
    assert rows["columns in a batch"] == f"{limits.columns_max:,}"
    assert rows["cells of a batch (records times columns)"] == f"{limits.cells_max:,}"
    assert rows["a name"] == f"{limits.name_bytes_max} bytes of UTF-8"
    size = limits.json_bytes_max >> 20
    assert rows["a configuration"] == f"{size} MiB of JSON, {limits.json_depth_max} levels deep"
    assert rows["values of an enumeration"] == f"{limits.enumeration_max}"
    assert rows["components of a vector"] == f"{limits.vector_max:,}"
