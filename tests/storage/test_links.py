"""Names that somebody else has put in the folder: links, hard links, FIFOs, and two names for a file.

Where the tests run as root, the one who writes is another user than the one who lays the traps.
"""

import os
import stat
import subprocess
import sys
from contextlib import suppress

import pytest

import cmeta
from cmeta.errors import LockedError, RecorderError
from cmeta.storage.disk import create, open_existing
from cmeta.storage.links import resolved_to_write
from cmeta.storage.lock import SUFFIX as LOCK
from cmeta.storage.lock import Lock, has_live_holder
from cmeta.storage.open import is_input, journal_path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links and permissions of POSIX")
NOBODY = 65534
AS_ROOT = os.name == "posix" and os.geteuid() == 0
needs_root = pytest.mark.skipif(not AS_ROOT, reason="needs two users")
SECRET = b"secret of somebody\n" * 20


def record(path, mode="new", num=3, **options):
    with cmeta.Recorder(path, mode=mode, **options) as rec:
        for i in range(num):
            rec.log("train", loss=i / 8)


def die(path, mode="new", num=3):
    """Leave an open file, as a killed process would."""
    rec = cmeta.Recorder(path, mode=mode)
    for i in range(num):
        rec.log("train", loss=i / 8)
    rec._session._end()
    rec._session._sealer.stop()


def losses(path):
    with cmeta.open(path) as run:
        return run.read(["loss"])["loss"].tolist()


def as_user(work, user=NOBODY):
    """Do work in a child that is another user, where this process is root; return its error."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if AS_ROOT:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
            work()
        except BaseException as error:
            os.write(writing, repr(error).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        return pipe.read().decode()


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "elsewhere" / "victim"
    path.parent.mkdir()
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def public(tmp_path):
    """A folder in which anybody may write, as all above it may be entered."""
    folder = tmp_path / "public"
    folder.mkdir()
    folder.chmod(0o1777)
    for above in folder.parents:
        if AS_ROOT and above.stat().st_uid == 0 and not above.stat().st_mode & stat.S_IXOTH:
            above.chmod(above.stat().st_mode | 0o111)
    return folder


KINDS = {
    "link": lambda victim, trap: trap.symlink_to(victim),
    "hard link": lambda victim, trap: os.link(victim, trap),
    "dangling link": lambda victim, trap: trap.symlink_to(victim.with_name("new")),
    "FIFO": lambda victim, trap: os.mkfifo(trap),
    "folder": lambda victim, trap: trap.mkdir(),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [LOCK, "-journal"])
@pytest.mark.parametrize("mode", ["new", "resume", "replace"])
def test_a_trap_beside_a_run_is_refused_and_named(tmp_path, victim, kind, side, mode):
    path = tmp_path / "run.cmeta"
    if mode != "new":
        record(path)
    trap = path.with_name(path.name + side)
    KINDS[kind](victim, trap)
    try:
        record(path, mode)
    except (LockedError, OSError) as error:
        assert trap.name in str(error)
    else:  # the name is only replaced, and nothing is written to what had it
        assert (kind, side) == ("hard link", "-journal")
    assert victim.read_bytes() == SECRET
    assert [p.name for p in victim.parent.iterdir()] == ["victim"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_written_beside_a_trap(tmp_path, victim, kind):
    path = tmp_path / "run.cmeta"
    KINDS[kind](victim, path.with_name(path.name + LOCK))
    with suppress(LockedError):
        cmeta.write(path, {"phase": ["train"] * 3})
    assert victim.read_bytes() == SECRET
    assert [p.name for p in victim.parent.iterdir()] == ["victim"]


def test_a_run_with_a_second_name_is_not_continued(tmp_path):
    """As by `cp -l` or in the store of a tool for data: the other name would change too."""
    path, other = tmp_path / "run.cmeta", tmp_path / "backup"
    record(path)
    os.link(path, other)
    before = other.read_bytes()
    with pytest.raises(OSError, match=r"has 2 names .* put a copy in its place: .*run.cmeta"):
        record(path, "resume")
    assert {p.name for p in tmp_path.iterdir()} == {"run.cmeta", "backup"}
    record(path, "replace", num=1)
    assert other.read_bytes() == before
    assert losses(path) == [0.0]


@needs_root
@pytest.mark.parametrize("mode", ["new", "resume", "replace"])
def test_a_link_of_another_user_is_not_followed(public, victim, mode):
    run = victim.with_name("run.cmeta")
    record(run)
    before = run.read_bytes()
    link = public / "run.cmeta"
    assert as_user(lambda: link.symlink_to(run)) == ""
    with pytest.raises(RecorderError, match=r"link of another user \(number 65534\) to .*itself"):
        record(link, mode)
    assert run.read_bytes() == before
    assert {p.name for p in run.parent.iterdir()} == {"victim", "run.cmeta"}


@needs_root
def test_a_folder_that_is_a_link_of_another_user(public, victim):
    link = public / "runs"
    assert as_user(lambda: link.symlink_to(victim.parent)) == ""
    with pytest.raises(RecorderError, match="link of another user"):
        record(link / "run.cmeta")
    assert [p.name for p in victim.parent.iterdir()] == ["victim"]


@needs_root
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775])
@pytest.mark.parametrize("way", ["direct", "through a link of one's own"])
def test_no_writer_goes_through_a_folder_link_of_another_user(tmp_path, mode, way):
    home, shared = tmp_path / "home", tmp_path / "shared"
    home.mkdir()
    shared.mkdir()
    shared.chmod(mode)
    folder = shared / "sub"
    folder.symlink_to(home)
    os.lchown(folder, NOBODY, NOBODY)
    if way != "direct":
        (tmp_path / "mine").symlink_to(folder)
        folder = tmp_path / "mine"
    source, victims = tmp_path / "source.cmeta", [home / "run.cmeta", home / "run.csv"]
    record(source)
    for file in victims:
        file.write_bytes(SECRET)
    with pytest.raises(RecorderError, match="link of another user"):
        record(folder / "run.cmeta", "replace")
    with pytest.raises(OSError, match="link of another user"):
        cmeta.write(folder / "run.cmeta", {"phase": ["train"]})
    with pytest.raises(OSError, match="link of another user"):
        cmeta.recover(source, folder / "new.cmeta")
    csv = str(folder / "run.csv")
    command = [sys.executable, "-m", "cmeta", "convert", str(source), csv, "--replace"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "link of another user" in done.stderr
    assert sorted(home.iterdir()) == victims
    assert all(file.read_bytes() == SECRET for file in victims)


def test_a_way_through_links_of_ones_own(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "mine").symlink_to("folder/../folder")
    (tmp_path / "second").symlink_to(tmp_path / "mine")
    record(tmp_path / "second" / ".." / "folder" / "run.cmeta")
    cmeta.write(tmp_path / "second" / "other.cmeta", {"phase": ["train"]})
    assert len(list(folder.iterdir())) == 2


def test_an_output_whose_journal_is_a_link_in_a_loop(tmp_path):
    record(tmp_path / "run.cmeta")
    journal_path(tmp_path / "run.cmeta").symlink_to("run.cmeta-journal")
    assert not is_input(tmp_path / "out.csv", tmp_path / "run.cmeta")


def test_links_in_a_loop(tmp_path):
    (tmp_path / "a.cmeta").symlink_to("b.cmeta")
    (tmp_path / "b.cmeta").symlink_to("a.cmeta")
    with pytest.raises(OSError, match="Too many levels"):
        resolved_to_write(tmp_path / "a.cmeta")


def test_a_file_that_changes_its_name_while_it_is_opened(tmp_path, victim, monkeypatch):
    """A link that is gone when it is looked at was a name of another file when it was opened."""
    trap, real = tmp_path / "trap", os.lstat
    os.link(victim, trap)

    def vanishing(path, **options):
        if path == trap:
            with suppress(FileNotFoundError):
                os.unlink(trap)
        return real(path, **options)

    monkeypatch.setattr(os, "lstat", vanishing)
    with pytest.raises(FileNotFoundError):
        open_existing(trap)


# ----------------------------------------------------------------------------- two names, one file


@pytest.fixture
def names(tmp_path):
    """A run in a folder of its own, and a link to it."""
    (tmp_path / "runs").mkdir()
    run, link = tmp_path / "runs" / "run.cmeta", tmp_path / "latest.cmeta"
    link.symlink_to(os.path.join("runs", "run.cmeta"))
    return run, link


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("mode", ["new", "resume", "replace"])
def test_two_names_are_one_lock(names, first, mode):
    one, other = names[first], names[1 - first]
    with cmeta.Recorder(one) as rec:
        rec.log("train", loss=1.0)
        with pytest.raises((LockedError, cmeta.ExistsError)):
            record(other, mode)
        with pytest.raises(LockedError):
            cmeta.write(other, {"phase": ["train"]})
        rec.log("train", loss=2.0)
    assert losses(names[0]) == losses(names[1]) == [1.0, 2.0]
    assert names[1].is_symlink()
    assert [p.name for p in names[0].parent.iterdir()] == ["run.cmeta"]


@pytest.mark.parametrize("dead", [0, 1])
def test_what_died_under_one_name_is_found_under_the_other(names, tmp_path, dead):
    die(names[dead])
    for name in names:
        assert losses(name) == [0.0, 0.125, 0.25]
        assert journal_path(name) == journal_path(names[0])
        out = tmp_path / f"out-{name.name}"
        assert cmeta.recover(name, out).num_records == 3
    record(names[1 - dead], "resume", num=1)
    assert len(losses(names[0])) == 4
    assert names[1].is_symlink()


def test_a_run_under_a_link_is_found_to_be_recorded(names):
    with cmeta.Recorder(names[0]):
        assert has_live_holder(names[1])
    assert not has_live_holder(names[1])


# -------------------------------------------------------------------------------------- the lock


def test_a_lock_file_that_was_removed_lets_nobody_in(tmp_path):
    path = tmp_path / "run.cmeta"
    rec = cmeta.Recorder(path)
    rec.log("train", loss=1.0)
    path.with_name(path.name + LOCK).unlink()
    code = (
        "import sys, cmeta\n"
        "for mode in ('resume', 'replace'):\n"
        "    try: cmeta.Recorder(sys.argv[1], mode=mode)\n"
        "    except cmeta.LockedError as error: print(error)\n"
        "try: cmeta.write(sys.argv[1], {'phase': ['train']})\n"
        "except cmeta.LockedError as error: print(error)\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert child.stdout.count("whose lock file was removed; only one writer") == 3, child
    rec.log("train", loss=2.0)
    rec._session._sealer.rotate()
    assert path.with_name(path.name + LOCK).exists()  # it is made again
    rec.close()
    assert losses(path) == [1.0, 2.0]
    assert [p.name for p in tmp_path.iterdir()] == ["run.cmeta"]


def test_the_lock_file_of_another_one_is_not_removed(tmp_path):
    path = tmp_path / "run.cmeta"
    first = Lock(path)
    path.with_name(path.name + LOCK).unlink()
    second = Lock(path)
    first.release()
    with pytest.raises(LockedError):
        Lock(path)
    second.release()
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------- permissions


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def _open_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def created(monkeypatch):
    """The mode of every file when its first byte is written."""
    modes, real = {}, os.pwrite

    def pwrite(descriptor, data, offset):
        name = os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))
        modes.setdefault(name, stat.S_IMODE(os.fstat(descriptor).st_mode))
        return real(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    return modes


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="Linux")
@pytest.mark.usefixtures("_open_umask")
@pytest.mark.parametrize("mode", ["resume", "replace"])
@pytest.mark.parametrize("permissions", [0o600, 0o640, 0o664])
@pytest.mark.parametrize("is_closed", [True, False])
def test_every_file_of_a_session_is_as_private_as_the_run(
    tmp_path, created, mode, permissions, is_closed
):
    path = tmp_path / "run.cmeta"
    (record if is_closed else die)(path)
    path.chmod(permissions)
    created.clear()
    options = {"resume_at": 1} if mode == "resume" else {}
    with cmeta.Recorder(path, mode=mode, config={"key": "secret"}, **options) as rec:
        rec.log("train", loss=1.0)
        assert {mode_of(p) for p in tmp_path.iterdir()} == {permissions}
        rec._session._sealer.rotate()
        assert {mode_of(p) for p in tmp_path.iterdir()} == {permissions}
    assert set(created.values()) == {permissions}
    assert len(created) >= (2 if mode == "resume" else 4)
    assert {mode_of(p) for p in tmp_path.iterdir()} == {permissions}  # also of dropped records


@pytest.mark.usefixtures("_open_umask")
def test_a_run_that_becomes_private_while_it_is_recorded(tmp_path):
    path = tmp_path / "run.cmeta"
    with cmeta.Recorder(path) as rec:
        rec.log("train", loss=1.0)
        assert mode_of(journal_path(path)) == 0o644
        path.chmod(0o600)
        rec._session._sealer.rotate()
        assert mode_of(journal_path(path)) == 0o600
        path.unlink()
    assert mode_of(path) == 0o600  # saved under its name


@pytest.mark.usefixtures("_open_umask")
def test_what_replaces_or_saves_a_private_file_is_private(tmp_path):
    path = tmp_path / "run.cmeta"
    record(path)
    path.chmod(0o600)
    cmeta.write(path, {"phase": ["train"] * 3})
    assert mode_of(path) == 0o600
    path.write_bytes(path.read_bytes()[:-9])
    cmeta.recover(path, tmp_path / "out.cmeta")
    assert mode_of(tmp_path / "out.cmeta") == 0o600


def test_new_files_and_folders_follow_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        path = tmp_path / "new" / "run.cmeta"
        with cmeta.Recorder(path) as rec:
            rec.log("train", loss=1.0)
            assert {mode_of(p) for p in path.parent.iterdir()} == {0o600}
            assert mode_of(path.parent) == 0o700
    finally:
        os.umask(before)


@needs_root
@pytest.mark.usefixtures("_open_umask")
def test_another_user_reads_nothing_of_a_private_run(public):
    path = public / "run.cmeta"
    record(path)
    path.chmod(0o600)
    with cmeta.Recorder(path, mode="resume", config={"key": "secret"}) as rec:
        rec.log("train", loss=1.0)
        for file in list(public.iterdir()):
            assert as_user(file.read_bytes).startswith("PermissionError"), file


@needs_root
def test_who_has_made_a_file_does_not_decide_who_may_write_to_the_next(public):
    path = public / "run.cmeta"

    def lay():
        os.umask(0)
        path.write_bytes(b"")
        path.chmod(0o666)

    assert as_user(lay) == ""
    record(path, "replace")
    assert path.stat().st_uid == 0
    assert not mode_of(path) & 0o022


@needs_root
def test_the_group_of_a_file_is_kept_or_gets_nothing(tmp_path):
    path = tmp_path / "run.cmeta"
    record(path)
    os.chown(path, -1, 1234)
    path.chmod(0o640)
    record(path, "replace")
    assert (path.stat().st_gid, mode_of(path)) == (1234, 0o640)


def test_a_new_file_is_never_an_existing_one(tmp_path, victim):
    for kind, lay in KINDS.items():
        trap = tmp_path / kind
        lay(victim, trap)
        with pytest.raises(FileExistsError):
            create(trap)
