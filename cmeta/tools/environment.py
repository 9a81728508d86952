"""`environment`: the hardware and software that may change a run's results.

It names no host, user or folder. A library that is not installed is left out, and none is imported
only to be listed. Imports are deferred to the call, so that a recorder starts without them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

_PACKAGES = (
    "numpy", "scipy", "scikit-learn", "pandas", "torch", "jax", "jaxlib", "tensorflow",
    "transformers", "lightning", "cmeta-format",
)  # fmt: skip
_FLAGS = (
    "PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS", "NVIDIA_TF32_OVERRIDE", "TF_DETERMINISTIC_OPS", "XLA_FLAGS",
)  # fmt: skip
_GIT_SECONDS = 5


def environment() -> dict[str, Any]:
    """Return the environment, to be recorded in a configuration as ``environment``.

    Returns
    -------
    dict
        JSON values: Python, system, CPU, packages, BLAS with its threads, GPUs (if torch is
        imported), the git commit and whether the working tree is dirty, determinism flags.

    Examples
    --------
    >>> environment()["python"] == ".".join(map(str, __import__("sys").version_info[:3]))
    True
    """
    import platform

    facts = {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cpu": _cpu(),
        "packages": _packages(),
        "blas": _blas(),
        "git": _git(),
        "flags": {name: os.environ[name] for name in _FLAGS if name in os.environ},
        **_torch(),
    }
    return {name: value for name, value in facts.items() if value not in (None, {}, [])}


def _cpu() -> str | None:
    import platform

    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return platform.processor() or None
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or None)


def _packages() -> dict[str, str]:
    from importlib import metadata

    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _blas() -> list[dict[str, Any]]:
    """Return the numerical libraries that are loaded, with the number of threads of each."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return _numpy_blas()
    keys = ("internal_api", "version", "num_threads", "threading_layer", "architecture")
    pools = [{k: info[k] for k in keys if info.get(k) is not None} for info in threadpool_info()]
    return sorted(pools, key=str)


def _numpy_blas() -> list[dict[str, Any]]:
    import numpy as np

    config: Any = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return [{k: blas[k] for k in ("name", "version") if k in blas}] if blas else []


def _git() -> dict[str, Any] | None:
    commit = _stdout_of("git", "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "dirty": bool(_stdout_of("git", "status", "--porcelain"))}


def _stdout_of(*command: str) -> str | None:
    import subprocess

    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def _torch() -> dict[str, Any]:
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return {}
    facts: dict[str, Any] = {"torch_threads": torch.get_num_threads()}
    facts["deterministic_algorithms"] = torch.are_deterministic_algorithms_enabled()
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        facts["gpus"] = [torch.cuda.get_device_name(i) for i in range(count)]
        facts["cuda"] = torch.version.cuda
        facts["cudnn"] = {
            "version": torch.backends.cudnn.version(),
            "deterministic": torch.backends.cudnn.deterministic,
            "benchmark": torch.backends.cudnn.benchmark,
        }
    return facts
