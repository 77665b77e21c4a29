"""Becomes another program that the system ends when the process that started it ends.

Run as a file: `python -I -S die_with_parent.py PARENT_PID SIGNAL PROGRAM ARGUMENT…`. A launcher and
not a `preexec_fn`, because code that runs between fork and exec may deadlock where threads run. The
request survives exec; Linux only. The signal comes when the *thread* that started this ends, so
start children from the main thread.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent_pid, death_signal, *program = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal))
    if os.getppid() != int(parent_pid):  # it ended before the request was made
        sys.exit(1)
    os.execv(program[0], program)


if __name__ == "__main__":
    main()
