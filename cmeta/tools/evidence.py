"""Evidence: facts that a run records about itself, so that a replay can be compared with it.

- `digest` hashes exact bytes.
- `signature` is a mean that is the same on every machine and in every order of summation: floats do
  not add associatively, so a mean of floats depends on threads and devices. Quanta do: each element
  is rounded to a quantum first, and integers are summed.
- `environment` is the hardware and software that may change a run's results. It names no host, user
  or folder. A library that is not installed is left out, and none is imported only to be listed.
  Imports are deferred to the call, so that a recorder starts without them.
  `git_state` asks git.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from cmeta.aliases import Array
from cmeta.errors import EncodeError
from cmeta.records.arrays import from_tensor
from cmeta.schema.load import shipped_format
from cmeta.source import read_file
from cmeta.tools.git_state import git_state

_LEN_DIGEST = 8
_NUM_COMPONENTS = 3
_PACKAGES = (
    "numpy", "scipy", "scikit-learn", "pandas", "torch", "jax", "jaxlib", "tensorflow",
    "transformers", "lightning", "cmeta-format",
)  # fmt: skip
_FLAGS = (
    "PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS", "NVIDIA_TF32_OVERRIDE", "TF_DETERMINISTIC_OPS", "XLA_FLAGS",
)  # fmt: skip
_VERSION = re.compile(r"[\w.+!-]{1,100}", re.ASCII)
_SETTINGS = re.compile(r"[\w.,:+-]{0,200}", re.ASCII)  # numbers, booleans, lists of names
_NAMES_A_PLACE = re.compile(r"(?:_to|dir|directory|path|file|filename|prefix|cache)\Z")
_OMITTED = "(omitted)"  # in place of a value that may name a person or a place
_HALF_BITS = 32  # sums of 32-bit halves cannot overflow 64 bits in an array that fits into memory


def digest(*arrays: Any) -> int:
    """Return a 64-bit hash of types, shapes and exact bytes, for ``state_digest``.

    Parameters
    ----------
    *arrays : array, tensor, or mapping of str to those
        Their order matters. A mapping, such as a ``state_dict()``, is hashed by name in sorted
        order. Byte order and memory layout do not matter; the type and the sign of zero do.

    Returns
    -------
    int
        u64: 8 bytes of BLAKE2b, read little-endian.

    Raises
    ------
    EncodeError
        An argument is not an array of numbers.

    Examples
    --------
    >>> digest([1.0, 2.0]) == digest([1.0, 2.0]), digest([0.0]) == digest([-0.0])
    (True, False)
    """
    import hashlib  # deferred: recording alone needs no OpenSSL

    hash_ = hashlib.blake2b(digest_size=_LEN_DIGEST)
    for place, item in enumerate(arrays):
        _update(hash_, item, f"arrays[{place}]")
    return int.from_bytes(hash_.digest(), "little")


def _update(hash_: Any, item: Any, path: str) -> None:
    if isinstance(item, Mapping):
        hash_.update(f"mapping {len(item)}\n".encode())
        for name in sorted(item):
            hash_.update(f"{len(str(name).encode())} {name}\n".encode())
            _update(hash_, item[name], f"{path}[{name!r}]")
        return
    array = np.asarray(from_tensor(item))
    if array.dtype.kind not in "biufc":
        raise EncodeError(f"{path}: found {array.dtype}, expected an array of numbers")
    array = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    # Type and shape end in a newline, so that no two sequences of arrays give the same bytes.
    hash_.update(f"{_type_name(item, array)} {array.shape}\n".encode())
    hash_.update(array.tobytes())


def _type_name(item: Any, array: Array) -> str:
    """Return the name of the dtype, also of bfloat16, which numpy does not have."""
    stated = str(getattr(item, "dtype", array.dtype)).rpartition(".")[2]
    return stated if stated == "bfloat16" else array.dtype.newbyteorder("=").name


def signature(tensor: Any) -> tuple[float, ...]:
    """Return the mean over all axes but the last, in exact integer arithmetic of quanta.

    Parameters
    ----------
    tensor : array or tensor, (..., 3)
        Any real type, any device. Each element is rounded half to even to a quantum, a millionth.

    Returns
    -------
    tuple of float, (3,)
        Means, rounded half to even to a quantum. A component that contains NaN, or infinities of
        both signs, is NaN; one that contains infinities of one sign is that infinity.

    Raises
    ------
    EncodeError
        The tensor is not real, is empty, or its last axis is not of size 3.

    Examples
    --------
    >>> signature([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])
    (0.2, 0.2, 0.2)
    """
    values = np.asarray(from_tensor(tensor))
    if values.dtype.kind not in "biuf":
        raise EncodeError(f"tensor: found {values.dtype}, expected numbers")
    if values.ndim == 0 or values.shape[-1] != _NUM_COMPONENTS:
        raise EncodeError(
            f"tensor: found shape {values.shape}, expected a last axis of size {_NUM_COMPONENTS}"
        )
    if values.size == 0:
        raise EncodeError(f"tensor: found shape {values.shape}, which has no elements")
    columns = values.reshape(-1, _NUM_COMPONENTS).T
    return tuple(_mean(np.ascontiguousarray(column)) for column in columns)


def _mean(column: Array) -> float:
    quanta_per_unit = shipped_format().codecs.quantise.quanta_per_unit
    if column.dtype.kind == "f" and not np.isfinite(column).all():
        with np.errstate(invalid="ignore"):
            return float(column[~np.isfinite(column)].astype(np.float64).sum())
    total = _sum_of_quanta(column, quanta_per_unit)
    return round(Fraction(total, len(column))) / quanta_per_unit


def _sum_of_quanta(column: Array, quanta_per_unit: int) -> int:
    """Return the exact sum of the elements in quanta."""
    if column.dtype.kind != "f":
        return int(sum(column.tolist())) * quanta_per_unit
    wide = column.astype(np.float64)
    near = np.abs(wide) < 2**62 / quanta_per_unit
    quanta = np.rint(wide[near] * quanta_per_unit).astype(np.int64)
    low = int((quanta & ((1 << _HALF_BITS) - 1)).sum(dtype=np.int64))
    high = int((quanta >> _HALF_BITS).sum(dtype=np.int64))
    # Too large for int64 quanta: exact in Python's integers.
    far = sum(round(Fraction(value) * quanta_per_unit) for value in wide[~near].tolist())
    return (high << _HALF_BITS) + low + far


def environment() -> dict[str, Any]:
    """Return the environment, to be recorded in a configuration as ``environment``.

    Returns
    -------
    dict
        JSON values: Python, system, CPU, packages, BLAS with its threads, GPUs (if torch is
        imported), the git commit and whether the working tree is dirty, determinism flags. What a
        flag states beside numbers and plain names, such as a folder, is left out as
        ``(omitted)``. Nothing that the configuration of the working tree names is run.

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
        "cpu": _cpu(platform.processor()),
        "packages": _packages(),
        "blas": _blas(),
        "git": git_state(),
        "flags": {name: _flag(os.environ[name]) for name in _FLAGS if name in os.environ},
        **_torch(),
    }
    return {name: value for name, value in facts.items() if value not in (None, {}, [])}


def _cpu(processor: str) -> str | None:
    """Return the name of the CPU; `processor` is the fallback."""
    try:
        lines = read_file("/proc/cpuinfo").decode("utf-8", "replace").splitlines()
    except OSError:
        return processor or None
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, processor or None)


def _packages() -> dict[str, str]:
    from importlib import metadata

    versions = {}
    for name in _PACKAGES:
        try:
            version = str(metadata.version(name))
        except metadata.PackageNotFoundError:
            continue
        if _VERSION.fullmatch(version):  # a file beside the script may state anything
            versions[name] = version
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
    config: Any = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return [{k: blas[k] for k in ("name", "version") if k in blas}] if blas else []


def _flag(text: str) -> str:
    """Return what a flag states, without what may name a person or a place.

    Examples
    --------
    >>> _flag("--xla_gpu_autotune_level=4 --xla_dump_to=/scratch/ada/dump")
    '--xla_gpu_autotune_level=4 --xla_dump_to=(omitted)'
    """
    persons = _persons()
    words = []
    for word in text.split():
        name, equals, value = word.rpartition("=")
        is_plain = _is_plain(value, persons) and not _NAMES_A_PLACE.search(name.lower())
        if not _is_plain(name.removeprefix("--"), persons):
            words.append(_OMITTED)
        else:
            words.append(word if is_plain else f"{name}{equals}{_OMITTED}")
    return " ".join(words)


def _is_plain(text: str, persons: set[str]) -> bool:
    parts = re.split(r"[^A-Za-z0-9]+", text.lower())
    return bool(_SETTINGS.fullmatch(text)) and persons.isdisjoint(parts)


def _persons() -> set[str]:
    """Return the names of the user and of the host, in lower case."""
    import socket

    names = {os.environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME")}
    names |= {Path.home().name if "HOME" in os.environ else "", socket.gethostname().split(".")[0]}
    return {name.lower() for name in names if name}


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
