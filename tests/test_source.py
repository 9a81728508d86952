"""Sources: positioned reads of files and of bytes, and of no more than they have."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from cmeta import TruncatedError
from cmeta.source import BytesSource, FileSource, open_source

DATA = bytes(range(256)) * 40


@pytest.fixture(params=["file", "file without pread", "bytes"])
def source(request, tmp_path, monkeypatch):
    path = tmp_path / "data"
    path.write_bytes(DATA)
    if request.param == "file without pread":
        monkeypatch.delattr(os, "pread")
    found = open_source(DATA if request.param == "bytes" else path)
    yield found
    found.close()


def test_reads_are_positioned(source):
    assert source.size == len(DATA)
    assert source.read(300, 10) == DATA[300:310]
    assert source.read(0, 3) == DATA[:3]
    assert source.read(len(DATA), 0) == b""
    assert source.read(0, len(DATA)) == DATA
    assert source.len_read == 13 + len(DATA)


@pytest.mark.parametrize(
    ("offset", "length", "left"),
    [(0, len(DATA) + 1, len(DATA)), (len(DATA) - 1, 2, 1), (len(DATA) + 5, 1, 0), (0, 2**62, None),
     (-1, 1, None), (0, -1, None)],
)  # fmt: skip
def test_what_a_source_does_not_have(source, offset, length, left):
    with pytest.raises(TruncatedError) as caught:
        source.read(offset, length)
    assert caught.value.offset <= len(DATA)
    if left is not None:
        assert f"{left} bytes left, expected {length}" in caught.value.message


def test_threads_do_not_disturb_each_other(source):
    places = [(i * 97 % 10_000, 1 + i % 50) for i in range(400)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda place: source.read(*place), places))
    assert found == [DATA[offset : offset + length] for offset, length in places]


def test_short_reads_are_put_together(tmp_path, monkeypatch):
    (tmp_path / "data").write_bytes(DATA)
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, length, at: pread(fd, min(length, 7), at))
    source = open_source(tmp_path / "data")
    assert source.read(3, 1000) == DATA[3:1003]
    source.close()


def test_a_file_that_shrinks(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(DATA)
    source = open_source(path)
    os.truncate(path, 100)
    with pytest.raises(TruncatedError, match="the file shrank: 20 bytes left, expected 50"):
        source.read(80, 50)
    source.close()
    source.close()


def test_what_opens_what(tmp_path):
    (tmp_path / "data").write_bytes(DATA)
    for given in (tmp_path / "data", str(tmp_path / "data")):
        source = open_source(given)
        assert isinstance(source, FileSource)
        assert source.name == str(tmp_path / "data")
        source.close()
    for data in (DATA, bytearray(DATA), memoryview(DATA)):
        assert isinstance(open_source(data), BytesSource)
        assert open_source(data).name == f"<{len(DATA)} bytes>"
    with pytest.raises(FileNotFoundError):
        open_source(tmp_path / "nowhere")
