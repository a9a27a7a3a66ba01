"""What `check_data` runs on a file in place of decoding it: it does what the file's name says."""

import ctypes
import json
import mmap
import os
import pathlib
import signal
import sys
import time

from glimpse.pipelines.video_check import file_state


def act(job, progress):
    """Crashes, hangs or raises as the name says; else returns the facts that the file holds."""
    path = pathlib.Path(job["path"])
    with open(path.parent / "log.txt", "a") as log:
        log.write(f"{path.stem} {os.getpid()}\n")
    what = path.stem.partition("-")[0]
    if what == "segfault":
        ctypes.string_at(0)
    elif what == "abort":
        os.abort()
    elif what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "exit":
        os._exit(int(path.stem.partition("-")[2]))
    elif what == "quit":
        sys.exit("a library ends the program")
    elif what == "hang":
        time.sleep(600)
    elif what == "slow":
        for _ in range(6):
            time.sleep(0.5)
            progress()
    elif what == "patient":
        progress(5.0)
        time.sleep(2.5)
    elif what == "late":
        time.sleep(0.5)
    elif what == "raise":
        raise KeyError("no\nsuch key")
    elif what == "memory":
        mmap.mmap(-1, 3 << 30)
    elif what == "once":  # as where others took the memory
        marker = path.with_suffix(".tried")
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return facts(state=file_state(path), **json.loads(path.read_text() or "{}"))


def calls(folder):
    """Names of the files that `act` was called with, in order."""
    return [line.split()[0] for line in (folder / "log.txt").read_text().splitlines()]


def facts(**values):
    """What `check_video` finds in a whole video, with other values in places."""
    return {
        "status": "found",
        "reason": None,
        "bytes": 2,
        "sha256": "0" * 64,
        "decoder": "none",
        "num_frames": 12,
        "width": 64,
        "height": 48,
        "frames_per_second": 25.0,
        "seconds": 0.48,
        "variable_rate": False,
        "warnings": [],
        "segment_frames": [],
        **values,
    }
