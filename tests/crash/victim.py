"""A process that records until it is killed: ``victim.py PATH NUM_RECORDS DURABILITY``.

It continues where the file ends, and prints the number of acknowledged records after each one.
"""

import os
import sys

import cmeta
from tests.crash.runs import SCHEMA, log


def main(path, num_records, durability):
    with cmeta.Recorder(path, SCHEMA, mode="resume", durability=durability) as recorder:
        for i in range(len(recorder), num_records):
            log(recorder, i)
            os.write(1, b"%d\n" % (i + 1))
    os.write(1, b"closed\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
