"""A process that is interrupted at random instants while it records.

``interrupted.py PATH NUM_INTERRUPTS`` prints the number of records, of interrupts, and of those
that struck within the library. An interrupt that Python itself swallows, in a callback of the
garbage collector for example, counts as sent: the next one follows.
"""

import os
import random
import signal
import sys
import threading
import time

import cmeta
from tests.crash.runs import LARGER, cycle

PACKAGE = os.path.dirname(cmeta.__file__)


class Interrupter(threading.Thread):
    """Sends SIGINT to its own process; always one at a time, at random distances."""

    def __init__(self, num):
        super().__init__(daemon=True)
        self.left, self.may = num, threading.Event()
        self.sent_at = time.monotonic()

    @property
    def is_swallowed(self):
        """Whether the last interrupt was sent long ago without any effect."""
        return not self.may.is_set() and time.monotonic() - self.sent_at > 1

    def run(self):
        draw = random.Random(0)
        while self.left:
            self.may.wait()
            time.sleep(draw.random() * 0.0005)
            self.may.clear()
            self.left -= 1
            self.sent_at = time.monotonic()
            os.kill(os.getpid(), signal.SIGINT)


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
    recorder = cmeta.Recorder(path, LARGER)
    interrupter = Interrupter(num)
    interrupter.start()
    num_interrupts = num_within = 0
    while num_interrupts < num:
        try:
            interrupter.may.set()
            while not interrupter.is_swallowed:
                # Only the recorder can say whether an interrupted call has recorded.
                fields = cycle(len(recorder))
                recorder.log(fields.pop("phase"), **fields)
        except KeyboardInterrupt as error:
            num_within += is_within(error.__traceback__)
        num_interrupts += 1
    recorder.close()
    print(len(recorder), num_interrupts, num_within)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
