"""`environment`: facts that may change a result; none names a person or a place."""

import getpass
import json
import os
import socket
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import cmeta


def test_its_facts(tmp_path):
    found = cmeta.environment()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["packages"]["numpy"] == np.__version__
    assert found["cpu"]
    assert found["blas"][0]
    assert json.loads(json.dumps(found)) == found
    with cmeta.Recorder(tmp_path / "run.cmeta", config={"environment": found}) as recorder:
        recorder.log("train")
    with cmeta.open(tmp_path / "run.cmeta") as run:
        assert run.configs[0]["environment"] == found


def test_it_names_no_person_and_no_place():
    text = json.dumps(cmeta.environment())
    assert os.getcwd() not in text
    assert f'"{socket.gethostname()}"' not in text
    assert f'"{getpass.getuser()}"' not in text


def git(folder, *arguments):
    names = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", folder, *names, *arguments], check=True, capture_output=True)


def test_commit_and_dirty_flag(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "git" not in cmeta.environment()
    git(tmp_path, "init")
    (tmp_path / "train.py").write_text("lr = 0.1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "x")
    found = cmeta.environment()["git"]
    assert (len(found["commit"]), found["dirty"]) == (40, False)
    (tmp_path / "train.py").write_text("lr = 0.2")
    assert cmeta.environment()["git"] == {"commit": found["commit"], "dirty": True}


def test_flags(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    assert cmeta.environment()["flags"]["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_an_imported_torch_is_asked(monkeypatch):
    cudnn = SimpleNamespace(version=lambda: 90100, deterministic=True, benchmark=False)
    cuda = SimpleNamespace(
        is_available=lambda: True, device_count=lambda: 2, get_device_name=lambda i: f"GPU {i}"
    )
    torch = SimpleNamespace(
        get_num_threads=lambda: 4, are_deterministic_algorithms_enabled=lambda: True, cuda=cuda,
        version=SimpleNamespace(cuda="12.4"), backends=SimpleNamespace(cudnn=cudnn),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "torch", torch)
    found = cmeta.environment()
    assert found["gpus"] == ["GPU 0", "GPU 1"]
    assert (found["torch_threads"], found["deterministic_algorithms"]) == (4, True)
    assert found["cudnn"] == {"version": 90100, "deterministic": True, "benchmark": False}


def test_flags_name_no_person_and_no_place(monkeypatch):
    monkeypatch.setenv("USER", "Ada")
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    monkeypatch.setenv("OMP_NUM_THREADS", "ada")
    flags = (
        "--xla_gpu_autotune_level=4 --xla_cpu_enable_fast_math=false --xla_dump_to=/scratch/ada/dump "
        "--xla_disable_hlo_passes=algsimp,dce --xla_dump_hlo_pass_re=ada --xla_gpu_cuda_data_dir=c "
        "--xla_list='a b' /scratch/ada"
    )
    monkeypatch.setenv("XLA_FLAGS", flags)
    found = cmeta.environment()["flags"]
    assert found["PYTHONHASHSEED"] == "0" and found["OMP_NUM_THREADS"] == "(omitted)"
    assert found["XLA_FLAGS"] == (
        "--xla_gpu_autotune_level=4 --xla_cpu_enable_fast_math=false --xla_dump_to=(omitted) "
        "--xla_disable_hlo_passes=algsimp,dce --xla_dump_hlo_pass_re=(omitted) "
        "--xla_gpu_cuda_data_dir=(omitted) --xla_list=(omitted) (omitted) (omitted)"
    )


@pytest.fixture
def hostile_folder(tmp_path, monkeypatch):
    """A repository, and a function that names a program in its configuration, which leaves a trace."""
    folder, trace = tmp_path / "repository", tmp_path / "trace"
    folder.mkdir()
    git(folder, "init")
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$0 $@" >> "{trace}"\ncat\n')
    program.chmod(0o755)
    (folder / "train.py").write_text("lr = 0.1")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "x")
    monkeypatch.chdir(folder)

    def state():
        return cmeta.environment().get("git"), trace.exists()

    return SimpleNamespace(folder=folder, program=program, state=state)


def touch(path):
    """Change the times of a file, so that git compares its content, by the filters."""
    os.utime(path, ns=(0, 0))


needs_shell = pytest.mark.skipif(os.name != "posix", reason="the programs are shell scripts")


@needs_shell
def test_the_file_system_monitor_of_a_folder_is_not_run(hostile_folder):
    git(hostile_folder.folder, "config", "core.fsmonitor", hostile_folder.program)
    found, was_run = hostile_folder.state()
    assert (found["dirty"], was_run) == (False, False)


@needs_shell
@pytest.mark.parametrize("name", ["clean", "process"])
def test_filters_of_a_folder_are_not_run(hostile_folder, name):
    (hostile_folder.folder / ".git/info/attributes").write_text("* filter=a.b\n")
    git(hostile_folder.folder, "config", f"filter.a.b.{name}", hostile_folder.program)
    git(hostile_folder.folder, "config", "filter.a.b.required", "true")
    touch("train.py")
    found, was_run = hostile_folder.state()
    assert (found["dirty"], was_run) == (False, False)


@needs_shell
def test_a_filter_that_cannot_be_switched_off_leaves_the_state_out(hostile_folder):
    (hostile_folder.folder / ".git/info/attributes").write_text("* filter=a=b\n")
    with open(".git/config", "a") as config:
        config.write(f'[filter "a=b"]\n\tclean = {hostile_folder.program}\n')
    touch("train.py")
    found, was_run = hostile_folder.state()
    assert found["commit"] and "dirty" not in found and not was_run


@needs_shell
@pytest.mark.parametrize("name", [b"\xff\xfe", b"\xed\xa0\x80", "\u00fc".encode()])
def test_a_filter_whose_name_is_not_ascii_leaves_the_state_out(hostile_folder, name):
    (hostile_folder.folder / ".git/info/attributes").write_bytes(b"* filter=" + name)
    with open(".git/config", "ab") as config:
        config.write(b'[filter "%s"]\n\tclean = %s\n' % (name, bytes(hostile_folder.program)))
    touch("train.py")
    found, was_run = hostile_folder.state()
    assert found["commit"] and "dirty" not in found and not was_run


@needs_shell
def test_filters_are_those_of_the_folder_whatever_git_config_is_told(hostile_folder, monkeypatch):
    (hostile_folder.folder / ".git/info/attributes").write_text("* filter=a\n")
    git(hostile_folder.folder, "config", "filter.a.clean", hostile_folder.program)
    touch("train.py")
    monkeypatch.setenv("GIT_CONFIG", os.devnull)
    found, was_run = hostile_folder.state()
    assert (found["dirty"], was_run) == (False, False)


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of git is bounded on Linux")
def test_git_reads_no_endless_file_into_memory(hostile_folder):
    (hostile_folder.folder / ".git/info/attributes").unlink(missing_ok=True)
    (hostile_folder.folder / ".git/info/attributes").symlink_to("/dev/zero")
    touch("train.py")
    code = """
import resource
from cmeta.tools.git_state import git_state
assert "dirty" not in git_state()
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert int(result.stdout) < 2**20  # KiB; it grew beyond 2 GiB


@needs_shell
def test_hooks_of_a_folder_are_not_run(hostile_folder):
    hooks = hostile_folder.folder / "hooks"
    hooks.mkdir()
    (hooks / "post-index-change").symlink_to(hostile_folder.program)
    git(hostile_folder.folder, "config", "core.hooksPath", hooks)
    touch("train.py")
    index = (hostile_folder.folder / ".git/index").read_bytes()
    _, was_run = hostile_folder.state()
    assert not was_run
    assert (hostile_folder.folder / ".git/index").read_bytes() == index


@needs_shell
def test_programs_of_a_submodule_are_not_run(hostile_folder, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init")
    (inner / "a").write_text("a")
    git(inner, "add", ".")
    git(inner, "commit", "-m", "x")
    allowed = ["-c", "protocol.file.allow=always"]
    git(hostile_folder.folder, *allowed, "submodule", "add", inner, "inner")
    git(hostile_folder.folder, "commit", "-m", "y")
    git(hostile_folder.folder / "inner", "config", "core.fsmonitor", hostile_folder.program)
    touch("inner/a")
    found, was_run = hostile_folder.state()
    assert (found["dirty"], was_run) == (False, False)


@needs_shell
def test_no_missing_object_is_fetched(hostile_folder):
    tree = subprocess.run(
        ["git", "rev-parse", "HEAD^{tree}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    os.unlink(f".git/objects/{tree[:2]}/{tree[2:]}")
    for name, value in (
        ("core.repositoryformatversion", "1"), ("extensions.partialClone", "origin"),
        ("remote.origin.url", "/"), ("remote.origin.promisor", "true"),
        ("remote.origin.uploadpack", str(hostile_folder.program)),
        ("protocol.file.allow", "always"),
    ):  # fmt: skip
        git(hostile_folder.folder, "config", name, value)
    found, was_run = hostile_folder.state()
    assert "dirty" not in found and not was_run


@needs_shell
def test_git_is_not_taken_from_the_current_folder(hostile_folder, monkeypatch):
    (hostile_folder.folder / "git").symlink_to(hostile_folder.program)
    for folder in (".", "", str(hostile_folder.folder)):
        monkeypatch.setenv("PATH", folder)
        assert hostile_folder.state() == (None, False)


def test_a_bare_repository_in_a_folder_is_not_asked(tmp_path, monkeypatch):
    git(tmp_path, "init", "--bare", ".")
    monkeypatch.chdir(tmp_path)
    assert "git" not in cmeta.environment()
