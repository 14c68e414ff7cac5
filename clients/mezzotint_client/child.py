"""Runs a module as this process and ends with the process that started it, whatever becomes of that one.

A script of its own, with standard library only: `python -P child.py SECONDS MODULE`. Standard input is a pipe whose other end
only the parent holds. When the parent is gone, also by SIGKILL, the pipe ends; this process then gets SIGTERM, and SIGKILL
after SECONDS. (Linux could send a signal by itself, PR_SET_PDEATHSIG, but when the thread that forked ends, and nowhere else.)
"""

import os
import runpy
import signal
import sys
import threading
import time


def end_with_parent(drain_seconds: float) -> None:
    """Block until the pipe ends, then stop this process, at first politely."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(drain_seconds)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Run the module as `python -m` would, beside the thread that watches the pipe."""
    drain_seconds, module = float(sys.argv[1]), sys.argv[2]
    del sys.argv[1:]
    threading.Thread(target=end_with_parent, args=(drain_seconds,), name="end-with-parent", daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
