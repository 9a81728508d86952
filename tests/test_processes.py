"""Work in several processes: results with their places, errors, processes that die."""

import os
import sys

import pytest

from cmeta.tools.parallel import in_processes


def test_results_come_with_their_places():
    tasks = [(7, 2), (9, 4), (5, 5)]
    assert sorted(in_processes(divmod, tasks, 2)) == [(0, (3, 1)), (1, (2, 1)), (2, (1, 0))]


def test_a_process_that_dies_has_no_result():
    assert list(in_processes(os._exit, [(1,)], 1)) == [(0, None)]


def test_an_error_of_the_work_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(in_processes(divmod, [(1, 0), (1, 1)], 2))


def test_the_script_is_there_again_afterwards():
    script = sys.modules["__main__"]
    assert list(in_processes(abs, [(-1,)], 1)) == [(0, 1)]
    assert sys.modules["__main__"] is script
