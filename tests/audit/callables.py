"""Callables for replays, which other processes can import."""

import os


def exact(state):
    """Draw the recorded number again."""
    return {"loss": state.rng.random()}


def other_at_50(state):
    """Draw another number in one cycle."""
    return {"loss": state.rng.random() + (state.ordinal == 50)}


def raising(state):
    """Raise an error."""
    if state.ordinal == 3:
        raise ValueError("no such weights")


def killed_once(state):
    """Kill the first process that comes here."""
    try:
        os.remove(os.environ["AUDIT_KILL"])
    except FileNotFoundError:
        return {"loss": state.rng.random()}
    return os.kill(os.getpid(), 9)


class Counting:
    """Stateful training that notes its process."""

    def __init__(self, state):
        with open(os.environ["AUDIT_PIDS"], "a", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")

    def __call__(self, state):
        """Draw the recorded number again."""
        return {"loss": state.rng.random()}
