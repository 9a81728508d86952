"""What the hostile tests share."""

import signal

import pytest

_SECONDS = 60


@pytest.fixture
def no_hang():
    """Turn a hang into a failure: what takes milliseconds is given a minute."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def fail(*_):
        raise TimeoutError(f"not done after {_SECONDS} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
