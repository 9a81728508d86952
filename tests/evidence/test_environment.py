"""`environment`: facts that may change a result; none names a person or a place."""

import getpass
import json
import os
import socket
import subprocess
import sys
from types import SimpleNamespace

import numpy as np

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
