"""A process that is interrupted at random instants while it records.

``interrupted.py PATH NUM_INTERRUPTS`` prints the number of records, of interrupts, and of those
that struck within the library. An interrupt that Python itself swallows, in a callback of the
garbage collector for example, counts as sent: the next one follows.
"""

import os
import random
import signal
import sys

import cmeta
from tests.crash.runs import LARGER, cycle

PACKAGE = os.path.dirname(cmeta.__file__)
LONGEST = 0.0003  # seconds from arming the timer to the interrupt


class Interrupter:
    """Sends SIGINT to its own process at random instants, one at a time.

    They come from a timer of the system: a thread would have to wait for the interpreter's lock,
    often for as long as it takes to record twenty cycles.
    """

    def __init__(self):
        self.num_sent, self.draw = 0, random.Random(0)
        signal.signal(signal.SIGALRM, self._strike)

    def arm(self):
        signal.setitimer(signal.ITIMER_REAL, self.draw.uniform(1e-6, LONGEST))

    def _strike(self, *_):
        self.num_sent += 1
        signal.raise_signal(signal.SIGINT)


def is_within(trace):
    """Return whether an exception arose in the library."""
    while trace.tb_next:
        trace = trace.tb_next
    frame = trace.tb_frame
    while frame is not None:
        if frame.f_code.co_filename.startswith(PACKAGE):
            return True
        frame = frame.f_back
    return False


def main(path, num):
    recorder, interrupter, draw = cmeta.Recorder(path, LARGER), Interrupter(), random.Random(1)
    num_interrupts = num_within = 0
    while num_interrupts < num:
        num_before = draw.randrange(3)  # uninterrupted cycles, so that the run grows
        try:
            while interrupter.num_sent == num_interrupts:
                if num_before == 0:
                    interrupter.arm()
                num_before -= 1
                # What an interrupted call did is asked of the recorder, as any user must.
                fields = cycle(len(recorder))
                recorder.log(fields.pop("phase"), **fields)
        except KeyboardInterrupt as error:
            num_within += is_within(error.__traceback__)
        num_interrupts += 1
    recorder.close()
    print(len(recorder), num_interrupts, num_within)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
