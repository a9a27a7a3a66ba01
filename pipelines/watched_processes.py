"""Runs a function on many jobs in processes whose end, whatever its cause, costs one job.

A decoder that meets a damaged file may end its process (a wrong address, `abort`, no memory) or
never come back. `concurrent.futures` gives up all its jobs then, and Pebble 5.2.3 waits for ever
for a process that called `exit(0)`; neither knows how far a job has come. Here each process has
its own pipe, so none can take another's down, and its own alarm clock, which the kernel rings
even while the process is stuck in foreign code or has lost its parent.
"""

import collections
import json
import multiprocessing
import multiprocessing.connection
import os
import resource
import signal

from glimpse.pipelines.rendering_processes import without_keras


class LostJob(str):
    """Why a job has no result: what became of its process, in words."""


def run_watched(function, jobs, workers, timeout, memory):
    """Yields (number of the job, its result or a `LostJob`), in the order of completion.

    A job whose process ended is run again, alone in a new process, before it counts as lost: the
    system ends a process for lack of memory that others may have taken.

    Args:
        function: `function(job, progress)` of a module, where `progress()` says that the job is
            under way, and `progress(seconds)` that the next step may take so much longer. What it
            raises makes a `LostJob`.
        jobs: Values that JSON can hold; so are the results.
        workers: Number of processes.
        timeout: Seconds that a job may take without progress.
        memory: Bytes of address space of a process; a request beyond fails in it.

    Raises:
        RuntimeError: If a process does not even start.
    """
    waiting = collections.deque(range(len(jobs)))
    again = []
    with without_keras():
        pool = [_Worker(function, timeout, memory) for _ in range(min(workers, len(jobs)))]
        try:
            while waiting or again or any(worker.job is not None for worker in pool):
                busy = _give(pool, jobs, waiting, again)
                for connection in multiprocessing.connection.wait([w.connection for w in busy]):
                    worker = next(w for w in busy if w.connection is connection)
                    number, outcome = worker.receive()
                    if isinstance(outcome, _Ended):
                        pool[pool.index(worker)] = _Worker(function, timeout, memory)
                        if not worker.alone and not outcome.stuck:
                            again.append(number)
                            continue
                        outcome = LostJob(outcome)
                    if number is not None:
                        yield number, outcome
        finally:
            for worker in pool:
                worker.stop()


def _give(pool, jobs, waiting, again):
    """Hands jobs to idle processes; returns those that have something to say."""
    idle = [worker for worker in pool if worker.ready and worker.job is None]
    if again and not waiting and all(worker.job is None for worker in pool):
        for worker in idle[:1]:
            worker.send(again.pop(0), jobs, alone=True)
    for worker in idle:
        if waiting:
            worker.send(waiting.popleft(), jobs)
    return [worker for worker in pool if worker.job is not None or not worker.ready]


class _Ended(str):
    """How a process ended, in words."""

    stuck = False


class _Worker:
    def __init__(self, function, timeout, memory):
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.job, self.alone, self.ready = None, False, False
        self._timeout = timeout
        self._process = context.Process(
            target=_work, args=(theirs, function, timeout, memory), daemon=True
        )
        self._process.start()
        theirs.close()

    def send(self, number, jobs, alone=False):
        self.job, self.alone = number, alone
        try:
            self.connection.send_bytes(json.dumps(jobs[number]).encode())
        except OSError:  # ended while idle; `receive` will say how
            pass

    def receive(self):
        """(job, result, LostJob or _Ended); job None where the process says that it is ready."""
        try:
            message = json.loads(self.connection.recv_bytes())
        except (EOFError, OSError, ValueError):
            return self.job, self._end()
        number, self.job = self.job, None
        if not self.ready:
            self.ready = True
            return None, None
        return number, LostJob(message["error"]) if "error" in message else message["result"]

    def _end(self):
        self._process.join(5)
        self.stop()
        code = self._process.exitcode
        if not self.ready:
            raise RuntimeError(
                f"a process of the check ended with status {code} before it began; a script that "
                'uses several processes needs `if __name__ == "__main__":`.'
            )
        if code == -signal.SIGALRM:
            ended = _Ended(f"the decoder hangs: no progress for {self._timeout:g} seconds")
            ended.stuck = True
            return ended
        if code == -signal.SIGKILL:
            return _Ended("the decoder's process was killed, as for lack of memory")
        if code is not None and code < 0:
            return _Ended(f"the decoder ended its process ({signal.Signals(-code).name})")
        return _Ended(f"the decoder ended its process (status {code})")

    def stop(self):
        self.connection.close()
        self._process.kill()
        self._process.join(5)


def _work(connection, function, timeout, memory):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    connection.send_bytes(b"{}")
    # What foreign code prints when it fails would tear the progress bar; the parent has the cause.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)

    def progress(seconds=0.0):
        signal.setitimer(signal.ITIMER_REAL, timeout + seconds)

    while True:
        try:
            job = json.loads(connection.recv_bytes())
        except EOFError:
            return
        progress()
        try:
            answer = {"result": function(job, progress)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
        signal.setitimer(signal.ITIMER_REAL, 0)
        connection.send_bytes(json.dumps(answer).encode())
