"""Runs a job's command, and kills it when the laptop cloud ends.

The cloud holds the other end of this process's standard input. When the cloud ends, even by `kill -9`, the pipe closes,
and the whole process group of the job is killed, so that no job outlives the cloud.
"""

import os
import signal
import subprocess
import sys
import threading


def main() -> int:
    """Run the command in `sys.argv[1:]` and return its exit code, 128 + n for signal n."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # meant for the job; this process ends after it
    try:
        job = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, preexec_fn=_prepare)  # noqa: PLW1509 - no thread yet
    except OSError as error:
        sys.stderr.write(f"The command cannot be started: {error}\n")
        return 127
    threading.Thread(target=_end_with_the_cloud, daemon=True).start()
    code = job.wait()
    return 128 - code if code < 0 else code


def _prepare() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.nice(5)  # keeps the laptop responsive


def _end_with_the_cloud() -> None:
    while os.read(0, 1024):
        continue
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
