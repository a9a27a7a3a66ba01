"""Draws and encodes clips in several processes at once."""

import concurrent.futures
import contextlib
import multiprocessing
import os

import cv2
import tqdm


def map_clips(function, jobs, workers, progress, description):
    """Returns `[function(job) for job in jobs]`, in order, worked out by several processes.

    Args:
        function: A function of a module, without state.
        jobs: A list of arguments that can be sent to a process.
        workers: Number of processes; 1 works in this one.
        progress: Whether to show a progress bar.
        description: The bar's title.
    """
    bar = {"total": len(jobs), "desc": description, "unit": "clip", "disable": not progress}
    if workers == 1:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            return list(tqdm.tqdm(map(function, jobs), **bar))
        finally:
            cv2.setNumThreads(threads)
    with without_keras():
        executor = concurrent.futures.ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), _start_worker
        )
        try:
            return list(tqdm.tqdm(executor.map(function, jobs, chunksize=4), **bar))
        finally:
            executor.shutdown(cancel_futures=True)


@contextlib.contextmanager
def without_keras():
    """Lets new processes leave out Keras and its backend, which drawing does not need."""
    os.environ["GLIMPSE_WITHOUT_KERAS"] = "1"
    try:
        yield
    finally:
        del os.environ["GLIMPSE_WITHOUT_KERAS"]


def _start_worker():
    cv2.setNumThreads(1)
