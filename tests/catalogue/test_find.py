"""Which files are found."""

import os

import pytest

from cmeta.storage.find import find


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A folder of files by their names; the current one."""
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    return make


def test_folders_patterns_and_files(tree, tmp_path):
    tree("r/b.cmeta", "r/a.cmeta", "r/x/ü ,\"'.cmeta", "r/.hidden/c.cmeta", "r/a.txt", "z.cmeta")
    below = ["r/.hidden/c.cmeta", "r/a.cmeta", "r/b.cmeta", "r/x/ü ,\"'.cmeta"]
    assert list(find("r").files) == below
    assert list(find(tmp_path / "r").files) == [str(tmp_path / name) for name in below]
    assert list(find("r/**/*.cmeta").files) == below
    assert find("r/*.cmeta").files == ("r/a.cmeta", "r/b.cmeta")
    assert find(str(tmp_path / "*.cmeta")).files == (str(tmp_path / "z.cmeta"),)
    assert list(find(".").files) == [*below, "z.cmeta"]
    assert find(["z.cmeta", "r", "no-such.cmeta"]).files == ("z.cmeta", *below, "no-such.cmeta")
    assert find("r/*").files == ("r/.hidden/c.cmeta", *below[1:])  # as the shell would have it
    assert find("r/*.txt").files == ("r/a.txt",)
    assert find("r/none/*.cmeta").files == find([]).files == ()
    assert find("r").folders == (str(tmp_path / "r"),)


def test_a_file_is_found_once(tree):
    tree("r/a.cmeta")
    assert find(["r", "r/*.cmeta", "r/a.cmeta"]).files == ("r/a.cmeta",)


def test_a_name_that_looks_like_a_pattern(tree):
    tree("a[1].cmeta", "a1.cmeta")
    assert find("a[1].cmeta").files == ("a[1].cmeta",)
    assert find("a[12].cmeta").files == ("a1.cmeta",)


def test_a_journal_stands_for_its_file(tree):
    tree("r/a.cmeta-journal", "r/b.cmeta", "r/b.cmeta-journal")
    assert find("r").files == ("r/a.cmeta", "r/b.cmeta")


def test_a_folder_with_the_name_of_a_run(tree):
    tree("r/a.cmeta/b.cmeta")
    assert find("r").files == find("r/**/*.cmeta").files == ("r/a.cmeta/b.cmeta",)


def test_links(tree, tmp_path):
    tree("r/one/a.cmeta", "elsewhere/b.cmeta")
    os.symlink("one", "r/latest")  # a folder that is there anyway
    os.symlink("..", "r/one/loop")
    os.symlink("one/a.cmeta", "r/a-again.cmeta")
    os.symlink("../elsewhere/b.cmeta", "r/b.cmeta")
    os.symlink("../elsewhere/b.cmeta", "r/b-again.cmeta")
    os.symlink("../elsewhere", "r/folder.cmeta")
    os.symlink("gone", "r/dangling.cmeta")
    os.symlink("self.cmeta", "r/self.cmeta")
    expected = ["r/b-again.cmeta", "r/dangling.cmeta", "r/one/a.cmeta", "r/self.cmeta"]
    assert list(find("r").files) == expected
    assert list(find("r/**/*.cmeta").files) == expected
    assert find("r/latest").files == ("r/latest/a.cmeta",)  # asked for by its name


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_not_utf8(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"\xff.cmeta")
    try:
        open(path, "w").close()
    except OSError:
        pytest.skip("the file system takes only UTF-8")
    assert [os.fsencode(name) for name in find(tmp_path).files] == [path]
