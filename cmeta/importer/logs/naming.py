"""What the names of other tools tell: the phase, the loss; and what is said of what is left behind.

A metric keeps its whole name. Its first word may name a phase (``val/acc``, ``eval_loss``); a name
that is nothing but that word and ``loss`` is the loss of the phase.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

_WORDS = {
    "train": ("train", "training"),
    "validate": (
        "val", "valid", "validate", "validation", "eval", "evaluate", "evaluation",
        "test", "testing", "dev",
    ),
}  # fmt: skip
_PHASES = {word: phase for phase, words in _WORDS.items() for word in words}
_FIRST_WORD = re.compile(r"([^/_.\-\s]+)[/_.\-\s]+(.*)", re.DOTALL)
_LOSS, _MOST_NAMES = "loss", 8


def phase_of_word(word: str, phases: Collection[str]) -> str | None:
    """Return the phase that a word names, if it names one of `phases`.

    Examples
    --------
    >>> phase_of_word("valid", ("train", "validate")), phase_of_word("model", ("train",))
    ('validate', None)
    """
    if word in phases:
        return word
    phase = _PHASES.get(word.lower())
    return phase if phase in phases else None


def phase_of(name: str, phases: Collection[str]) -> str | None:
    """Return the phase that the first word of a name tells.

    Examples
    --------
    >>> phases = ("dream", "train", "validate")
    >>> [phase_of(name, phases) for name in ("val/acc", "eval_loss", "dream.kl", "loss", "lr")]
    ['validate', 'validate', 'dream', None, None]
    """
    match = _FIRST_WORD.match(name)
    return phase_of_word(match[1], phases) if match else None


def loss_among(names: Iterable[str], phases: Collection[str]) -> str | None:
    """Return the name that is plainly the loss: ``loss``, or else the only one with a phase before.

    Examples
    --------
    >>> phases = ("train", "validate")
    >>> loss_among(["lr", "train/loss", "train/box_loss"], phases)
    'train/loss'
    >>> loss_among(["loss", "train_loss"], phases)
    'loss'
    >>> loss_among(["val/loss", "test/loss"], phases) is None
    True
    """
    likely = []
    for name in names:
        match = _FIRST_WORD.match(name)
        if name == _LOSS:
            return name
        if match and match[2] == _LOSS and phase_of_word(match[1], phases):
            likely.append(name)
    return likely[0] if len(likely) == 1 else None


def free_name(name: str, taken: Collection[str]) -> str:
    """Return a name that is not taken, with as many ``_`` behind it as that needs.

    Examples
    --------
    >>> free_name("wall_time", {"loss", "wall_time"})
    'wall_time_'
    """
    while name in taken:
        name += "_"
    return name


class Tally:
    """Counts what is left behind, by reason and name.

    Examples
    --------
    >>> tally = Tally()
    >>> tally.add("text is not kept", "notes")
    >>> tally.add("text is not kept", "notes")
    >>> list(tally.sentences())
    ['text is not kept: 2 of notes']
    """

    def __init__(self) -> None:
        self._found: dict[str, dict[str, int]] = {}

    def add(self, reason: str, name: str, count: int = 1) -> None:
        """Count values of a name that are left behind."""
        if count:
            names = self._found.setdefault(reason, {})
            names[name] = names.get(name, 0) + count

    def __bool__(self) -> bool:
        return bool(self._found)

    def sentences(self) -> Iterator[str]:
        """Yield a sentence for each reason, in the order in which they came up."""
        for reason, names in self._found.items():
            yield f"{reason}: {sum(names.values()):,} of {listed(names)}"


def listed(names: Iterable[str]) -> str:
    """Return names in a line; of many only the first.

    Examples
    --------
    >>> listed("abcdefghij")
    'a, b, c, d, e, f, g, h and 2 more'
    """
    every = list(names)
    more = f" and {len(every) - _MOST_NAMES:,} more" if len(every) > _MOST_NAMES else ""
    return ", ".join(every[:_MOST_NAMES]) + more
