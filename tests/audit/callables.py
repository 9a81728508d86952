"""What runs are replayed with; importable by other processes, too."""

import os


def exact(state):
    """Draw what was drawn."""
    return {"loss": state.rng.random()}


def other_at_50(state):
    """Draw something else in one cycle."""
    return {"loss": state.rng.random() + (state.ordinal == 50)}


def raising(state):
    """Go wrong."""
    if state.ordinal == 3:
        raise ValueError("no such weights")


class Counting:
    """Training that is stateful, and notes in which process it ran."""

    def __init__(self, state):
        with open(os.environ["AUDIT_PIDS"], "a", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")

    def __call__(self, state):
        """Draw what was drawn."""
        return {"loss": state.rng.random()}
