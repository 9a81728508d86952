"""Compressed sources, whole and damaged."""

import bz2
import gzip
import lzma
import sys

import pytest

import cmeta

LINES = "".join(f'{{"step": {i}, "loss": {i / 8}}}\n' for i in range(2000)).encode()
COMPRESS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("name", ["log.jsonl.", "log."])
def test_a_compressed_file(imported, tmp_path, suffix, name):
    path = tmp_path / f"{name}{suffix}"
    path.write_bytes(COMPRESS[suffix](LINES[:20000]) + COMPRESS[suffix](LINES[20000:]))
    found = imported(path)
    assert found.report.source == str(path)
    assert found.report.format == "jsonl"
    assert found.values("step") == list(range(2000))
    assert found.report.ok


def test_zstandard(imported, tmp_path):
    zstandard = pytest.importorskip("zstandard")
    path = tmp_path / "log.jsonl.zst"
    path.write_bytes(zstandard.compress(LINES[:20000]) + zstandard.compress(LINES[20000:]))
    assert imported(path).values("step") == list(range(2000))


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python itself has Zstandard")
def test_zstandard_without_its_library(imported, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    path = tmp_path / "log.jsonl.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    with pytest.raises(cmeta.MissingExtraError, match="the extra 'zstd'"):
        imported(path)


@pytest.mark.parametrize("suffix", COMPRESS)
def test_compressed_data_that_is_cut_off(imported, tmp_path, suffix):
    path = tmp_path / f"log.jsonl.{suffix}"
    first, second = COMPRESS[suffix](LINES[:20000]), COMPRESS[suffix](LINES[20000:])
    path.write_bytes(first + second[:-10])
    found = imported(path)
    num_whole = LINES[:20000].count(b"\n")
    assert found.values("step")[:num_whole] == list(range(num_whole))
    assert "data is cut off at offset" in found.report.damage[0]


@pytest.mark.parametrize("suffix", COMPRESS)
def test_compressed_data_that_is_corrupt(imported, tmp_path, suffix):
    path = tmp_path / f"log.jsonl.{suffix}"
    first, second = COMPRESS[suffix](LINES[:20000]), bytearray(COMPRESS[suffix](LINES[20000:]))
    second[len(second) // 2] ^= 0x55
    path.write_bytes(first + second)
    with pytest.raises(cmeta.EncodeError, match="data is corrupt: offset"):
        imported(path, skip_bad_lines=True)


def test_an_error_names_the_compressed_file(imported, tmp_path):
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(b"step,loss\n1,2,3\n"))
    with pytest.raises(cmeta.EncodeError) as caught:
        imported(path)
    assert str(caught.value).startswith(f"{path}, line 2: found 3 cells, expected 2")
