"""Many threads, one recorder."""

import threading

import numpy as np
import pytest

import cmeta

NUM_THREADS, NUM_EACH = 8, 12_500


@pytest.mark.parametrize("flush_every", [1, 64])
def test_all_records_of_all_threads(path, flush_every):
    """With automatic timestamps all are recorded, and those of each thread are in order."""
    start = threading.Barrier(NUM_THREADS)

    def work(rec, number):
        start.wait()
        for i in range(NUM_EACH):
            rec.log("train", step=i, epoch=number, metrics={f"w{number}": float(i)})

    with cmeta.Recorder(path, flush_every=flush_every) as rec:
        threads = [threading.Thread(target=work, args=(rec, k)) for k in range(NUM_THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(rec) == NUM_THREADS * NUM_EACH
    with cmeta.open(path) as run:
        columns = run.read(["timestamp", "step", "epoch"])
    assert np.array_equal(columns["timestamp"], np.arange(NUM_THREADS * NUM_EACH))
    for number in range(NUM_THREADS):
        steps = columns["step"][columns["epoch"] == number]
        assert np.array_equal(steps, np.arange(NUM_EACH))
    assert cmeta.validate(path, canonical=False).ok


def test_refusals_among_threads_lose_nothing(path):
    """Explicit timestamps that other threads have passed are refused, and only those."""
    taken, num_refused = [], []

    def work(rec, number):
        refused = 0
        for i in range(2_000):
            stamp = 8 * i + number
            try:
                rec.log("train", timestamp=stamp)
                taken.append(stamp)
            except cmeta.OrderError:
                refused += 1
        num_refused.append(refused)

    with cmeta.Recorder(path) as rec:
        threads = [threading.Thread(target=work, args=(rec, k)) for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with cmeta.open(path) as run:
        found = run.read(["timestamp"])["timestamp"].tolist()
    assert found == sorted(taken)
    assert len(found) + sum(num_refused) == 16_000
