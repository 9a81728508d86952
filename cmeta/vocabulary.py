"""The words for phases and for the loss: one table for every entrance.

Recorder, reader, query, replay, import, runs and command line all ask here.

- A name that the schema has means itself, always.
- Otherwise a phase may be named by a synonym, in any case: ``val`` and ``eval`` are validate.
- ``test`` and ``predict`` are phases of their own: data kept for the end are not validation data.
- ``loss`` is the field ``loss_value``.
- A metric's name gives a phase by its first word (``val/acc``, ``eval_loss``) or by a part between
  slashes (``Loss/test``). In ``RUN - KEY``, as W&B exports it, only the key counts.
- The columns of another tool's table have words of their own (`column_named`), in any case.

A name that does not exist is answered with similar ones (`no_such`). One that may mean several
fields, such as ``loss`` beside a metric of that name, is refused unless only one of them occurs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Mapping

_PHASE_WORDS = {
    "train": ("train", "training"),
    "validate": (
        "val", "valid", "validate", "validation", "eval", "evaluate", "evaluation", "dev",
    ),
    "test": ("test", "testing"),
    "predict": ("predict", "prediction", "inference"),
}  # fmt: skip
_PHASES = {word: phase for phase, words in _PHASE_WORDS.items() for word in words}
PHASES = tuple(_PHASE_WORDS)  # the phases that have synonyms
_MEASURED = {"prediction", "inference"}  # no phase in a metric's name: inference_time
_FIELDS = {"loss": "loss_value"}
_LOSS = "loss"
# By meaning, the column to prefer first. Numbers are seconds in `wall_time`; a `date` is text.
_COLUMNS = {
    "phase": ("phase", "split", "mode", "stage"),
    "step": (
        "step", "_step", "global_step", "iter", "iteration", "training_iteration", "num_updates",
        "time/total_timesteps", "total_timesteps", "timesteps_total", "time/iterations",
        "iterations", "steps",
    ),
    "epoch": ("epoch",),
    "loss": (_LOSS,),
    "seed_state": ("seed",),
    "wall_time": ("wall_time", "timestamp", "_timestamp"),
    "date": ("time", "datetime", "date", "created_at"),
}  # fmt: skip
_MEANINGS = {word: meaning for meaning, words in _COLUMNS.items() for word in words}
_SIMILAR_MAX, _KNOWN_MAX = 3, 40  # names in a message
_OF_RUN = " - "  # between a run and its key, in exports of W&B
_BLANKS = re.compile(r"[-\s]+")
_FIRST_WORD = re.compile(r"([^/_.\-\s]+)[/_.\-\s]+(.*)", re.DOTALL)


class AmbiguousNameError(KeyError):
    """A name may mean several fields."""


def phase_named(word: str, phases: Collection[str]) -> str | None:
    """Return the phase that a word names, if `phases` has it.

    Examples
    --------
    >>> phases = ("dream", "train", "validate")
    >>> phase_named("Val", phases), phase_named("train", phases), phase_named("test", phases)
    ('validate', 'train', None)
    """
    if word in phases:
        return word
    phase = _PHASES.get(word.lower())
    return phase if phase in phases else None


def new_phase_named(word: str) -> str:
    """Return the name under which a phase is appended to a schema that does not have it.

    Examples
    --------
    >>> new_phase_named("Testing"), new_phase_named("warmup")
    ('test', 'warmup')
    """
    return _PHASES.get(word.lower(), word)


def phases_named(words: Iterable[str], phases: Collection[str]) -> dict[str, str]:
    """Return the phase for each word in a table, one of `phases` or one to append to them.

    Two different words never become one phase: both then stay as they are, so that nothing is
    merged silently.

    Examples
    --------
    >>> phases = ("dream", "train", "validate")
    >>> phases_named(["train", "val", "Testing"], phases)
    {'Testing': 'test', 'train': 'train', 'val': 'validate'}
    >>> phases_named(["val", "eval"], phases)
    {'eval': 'eval', 'val': 'val'}
    """
    named = {w: phase_named(w, phases) or new_phase_named(w) for w in sorted({*words})}
    count = Counter(named.values())
    return {w: phase if phase == w or count[phase] == 1 else w for w, phase in named.items()}


def phase_synonyms(phases: Collection[str]) -> dict[str, str]:
    """Return the phase for each lower-case word that names one of `phases`, those included."""
    synonyms = {word: phase for word, phase in _PHASES.items() if phase in phases}
    return synonyms | {phase: phase for phase in phases}


def phase_of_name(name: str, phases: Collection[str]) -> str | None:
    """Return the phase that a metric's name gives, by its first word or a part between slashes.

    Examples
    --------
    >>> phases = ("dream", "train", "validate")
    >>> [phase_of_name(name, phases) for name in ("val/acc", "eval_loss", "dream.kl", "loss")]
    ['validate', 'validate', 'dream', None]
    >>> [phase_of_name(name, phases) for name in ("Loss/val", "test-run - loss", "run - val_loss")]
    ['validate', None, 'validate']
    """
    key = name.rpartition(_OF_RUN)[2]
    match = _FIRST_WORD.match(key)
    words = [match[1], *key.split("/")] if match else []
    words = [word for word in words if word in phases or word.lower() not in _MEASURED]
    return next(filter(None, (phase_named(word, phases) for word in words)), None)


def column_named(name: str) -> str:
    """Return what a column of another tool's table means: a word of ours, or the name itself.

    Examples
    --------
    >>> [column_named(name) for name in ("Step", "Wall time", "global_step", "Split", "lr")]
    ['step', 'wall_time', 'step', 'phase', 'lr']
    """
    return _MEANINGS.get(_spelling(name), name)


def column_rank(name: str) -> int:
    """Return how many words for the same column are to be preferred to this one.

    Examples
    --------
    >>> column_rank("Step"), column_rank("lr"), column_rank("iter") > column_rank("global_step")
    (0, 0, True)
    """
    word = _spelling(name)
    return _COLUMNS[_MEANINGS[word]].index(word) if word in _MEANINGS else 0


def _spelling(name: str) -> str:
    return _BLANKS.sub("_", name.strip().lower())


def field_named(name: str, known: Container[str]) -> str:
    """Return the field that a name means: itself where `known` has it, else what it is short for.

    Examples
    --------
    >>> field_named("loss", {"loss_value"}), field_named("loss", {"loss"}), field_named("lr", {})
    ('loss_value', 'loss', 'lr')
    """
    path = _FIELDS.get(name, name)
    return path if name not in known and path in known else name


def field_synonyms(known: Container[str]) -> dict[str, str]:
    """Return the field for each word that is short for one of `known`."""
    return {word: path for word, path in _FIELDS.items() if word not in known and path in known}


def loss_among(names: Iterable[str], phases: Collection[str]) -> str | None:
    """Return the name that is plainly the loss: ``loss``, or the only one of a phase and ``loss``.

    Examples
    --------
    >>> phases = ("train", "validate", "test")
    >>> loss_among(["lr", "train/loss", "train/box_loss"], phases)
    'train/loss'
    >>> loss_among(["loss", "train_loss"], phases), loss_among(["Loss/test", "acc"], phases)
    ('loss', 'Loss/test')
    >>> loss_among(["val/loss", "test/loss"], phases) is None
    True
    """
    likely, exact = [], []
    for name in names:
        word = name.lower()
        match = _FIRST_WORD.match(name)
        if name == _LOSS:
            return name
        if word == _LOSS:
            exact.append(name)
        elif match and _LOSS in (match[1].lower(), match[2].lower()):
            is_first = match[2].lower() == _LOSS
            other = match[1] if is_first else name.partition("/")[2]
            likely += [name] if phase_named(other, phases) else []
    found = exact or likely
    return found[0] if len(found) == 1 else None


def best_loss_name(names: Iterable[str]) -> str | None:
    """Return the name that most likely is the loss of a run.

    Examples
    --------
    >>> best_loss_name(["lr", "train/loss"]), best_loss_name(["train/loss", "loss_value"])
    ('train/loss', 'loss_value')
    """
    every = list(names)
    for exact in (*_FIELDS.values(), *_FIELDS):
        if exact in every:
            return exact
    return next((n for n in every if _LOSS in n.lower().split("/")[-1].split("_")), None)


def similar(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that are spelt or begin like a name, with or without their group.

    Examples
    --------
    >>> similar("entrpy", ["loss_value", "metrics.entropy"]), similar("losss", ["loss_value"])
    (['metrics.entropy'], ['loss_value'])
    """
    from difflib import get_close_matches  # needed only where something has gone wrong

    every = list(known)
    spellings = {word: meant for word, meant in (_PHASES | _FIELDS).items() if meant in every}
    spellings |= {path.rpartition(".")[2].lower(): path for path in every}
    spellings |= {path.lower(): path for path in every}
    close = get_close_matches(name.lower(), spellings)
    close += [spelling for spelling in spellings if spelling.startswith(name.lower())]
    return list(dict.fromkeys(spellings[spelling] for spelling in close))[:_SIMILAR_MAX]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about a name that does not exist: similar ones, if there are.

    Examples
    --------
    >>> did_you_mean("trian", ["dream", "train"]), did_you_mean("x", ["dream", "train"])
    ('; did you mean train?', '')
    """
    guesses = similar(name, known)
    return f"; did you mean {' or '.join(guesses)}?" if guesses else ""


def as_names(names: str | Iterable[str]) -> list[str]:
    """Return a list of names; a text is one name, and not its letters."""
    return [names] if isinstance(names, str) else list(names)


def main_phase(phases: Iterable[str]) -> str | None:
    """Return the phase that a measured value stands for when no phase is named.

    That is validate, by whatever word; else train; else the only one.

    Examples
    --------
    >>> main_phase(["dream", "train", "val"]), main_phase(["dream"]), main_phase(["dream", "test"])
    ('val', 'dream', None)
    """
    every = list(phases)
    for wanted in ("validate", "train"):
        for phase in every:
            if new_phase_named(phase) == wanted:
                return phase
    return every[0] if len(every) == 1 else None


def resolve(
    name: str, names: Mapping[str, str], kind: str = "field", where: str = "",
    occurs: Callable[[str], bool] | None = None,
) -> str:  # fmt: skip
    """Return the full name that a name means; the one rule for every entrance.

    That is the name itself; else the only full name that is this one in some group, or that it is a
    word for.

    Parameters
    ----------
    names : mapping of str to str
        The full names, and each without its group.
    kind, where : str
        What is named, and where it was sought, for messages.
    occurs : callable, optional
        Whether there are values of a full name; asked only where several are possible.

    Raises
    ------
    KeyError
        There is none; names similar ones.
    AmbiguousNameError
        There is more than one; names them.

    Examples
    --------
    >>> names = {"loss_value": "loss_value", "metrics.acc": "acc"}
    >>> resolve("loss", names), resolve("acc", names)
    ('loss_value', 'metrics.acc')
    """
    path = find(name, names, occurs)
    if path is None:
        raise KeyError(no_such(kind, name, names, where))
    return path


def find(
    name: str, names: Mapping[str, str], occurs: Callable[[str], bool] | None = None
) -> str | None:
    """Return the full name that a name means, as `resolve`; None if there is none.

    Raises
    ------
    AmbiguousNameError
        There is more than one.

    Examples
    --------
    >>> names = {"loss_value": "loss_value", "metrics.loss": "loss"}
    >>> find("loss", names, lambda path: path == "loss_value")
    'loss_value'
    """
    if name in names:
        return name
    word_for = field_named(name, names)
    meant = [word_for] if word_for != name else []
    meant += [path for path, short in names.items() if short == name]
    if len(meant) > 1 and occurs is not None:
        meant = list(filter(occurs, meant)) or meant
    if len(meant) > 1:
        raise ambiguous(name, meant)
    return meant[0] if meant else None


def ambiguous(name: str, meant: Iterable[str]) -> AmbiguousNameError:
    """Return the error for a name that may mean several fields."""
    return AmbiguousNameError(f"{name!r} may be {' or '.join(meant)}; use one of these names")


def misspelt(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a name differs from by one letter, if there is one.

    A letter may be missing, added, changed, or swapped with the next one.

    Examples
    --------
    >>> [misspelt(name, ["loss", "step"]) for name in ("losss", "los", "setp", "lr", "loss")]
    ['loss', 'loss', 'step', None, None]
    """
    return next((word for word in known if _is_one_letter_apart(name, word)), None)


def _is_one_letter_apart(one: str, other: str) -> bool:
    short, long = sorted((one.lower(), other.lower()), key=len)
    if len(long) - len(short) > 1 or short == long:
        return False
    place = next(
        (i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short)
    )
    if len(short) < len(long):
        return short[place:] == long[place + 1 :]
    is_changed = short[place + 1 :] == long[place + 1 :]
    is_swapped = (
        short[place : place + 2] == long[place : place + 2][::-1]
        and short[place + 2 :] == long[place + 2 :]
    )
    return is_changed or is_swapped


def no_such(kind: str, name: str, known: Iterable[str], where: str = "") -> str:
    """Return the message for a name that does not exist: similar ones, and those that do.

    Examples
    --------
    >>> no_such("phase", "trian", ["dream", "train"])
    "no phase 'trian' (did you mean train?); there are: dream, train"
    """
    every = list(known)
    guesses = similar(name, every)
    hint = f" (did you mean {' or '.join(guesses)}?)" if guesses else ""
    more = f" and {len(every) - _KNOWN_MAX} more" if len(every) > _KNOWN_MAX else ""
    return f"no {kind} {name!r}{where}{hint}; there are: {', '.join(every[:_KNOWN_MAX])}{more}"
