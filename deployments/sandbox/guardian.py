"""Waits until its standard input ends, which is when the supervisor has gone, and ends all that it left behind."""

import signal
import sys

from deployments.sandbox.processes import sweep


def main() -> None:
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.SIG_IGN)
    sys.stdin.buffer.read()
    while sweep(sys.argv[1]):
        pass


if __name__ == "__main__":
    main()
