"""A draft, and the tensors of it that still are on another device.

With groups of several records such a tensor is copied where it is, and all of a group are brought
over together when the group is written: one wait for the device, instead of one for each value.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from cmeta.schema import Field
from cmeta.writer.values import as_array


class Deferred(NamedTuple):
    """A value that still is on another device."""

    place: int
    tensor: Any
    field: Field | None
    name: str = ""


class Draft:
    """A record that is complete but for its ordinal."""

    undeclared: Mapping[str, float] = MappingProxyType({})  # replaced where there are any
    config: bytes | None = None
    deferred: list[Deferred] | None = None

    def __init__(self, values: list[Any], phase: int, timestamp: int | None) -> None:
        self.values, self.phase, self.timestamp = values, phase, timestamp
        self.present = 0

    def defer(self, item: Deferred) -> None:
        """Leave a value for later."""
        self.deferred = [*(self.deferred or ()), item]


def is_remote(value: Any) -> bool:
    """Return whether a value is a tensor on another device, so that looking at it would wait."""
    device = getattr(value, "device", None)
    return getattr(device, "type", "cpu") != "cpu" and hasattr(value, "detach")


def settle(drafts: list[Draft]) -> None:
    """Bring the deferred tensors of a group over, with one synchronisation for each device."""
    if all(draft.deferred is None for draft in drafts):
        return
    deferred = [(draft, item) for draft in drafts for item in draft.deferred or ()]
    by_kind: dict[Any, list[tuple[Draft, Deferred]]] = {}
    for draft, item in deferred:
        by_kind.setdefault((str(item.tensor.device), str(item.tensor.dtype)), []).append(
            (draft, item)
        )
    for group in by_kind.values():
        for (draft, item), value in zip(group, _fetch([i.tensor for _, i in group]), strict=True):
            if item.field is None:
                draft.undeclared = {**draft.undeclared, item.name: value}
            else:
                column = as_array([value], item.field)
                draft.values[item.place] = column.values[0].item()
    for draft in drafts:
        draft.deferred = None


def _fetch(tensors: list[Any]) -> list[float]:
    torch = sys.modules.get("torch")
    if torch is None or len(tensors) == 1:
        return [float(tensor) for tensor in tensors]
    return [float(v) for v in torch.stack([t.reshape(()) for t in tensors]).cpu().tolist()]
