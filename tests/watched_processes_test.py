import pathlib
import subprocess
import sys
import time

import pytest

from glimpse.pipelines.watched_processes import LostJob, run_watched
from tests import failing_checks

ROOT = pathlib.Path(__file__).parent.parent


def run(folder, names, workers=2, timeout=2.0, memory=8 << 30):
    jobs = []
    for name in names:
        (folder / f"{name}.avi").write_text("{}")
        jobs.append({"path": str(folder / f"{name}.avi"), "segments": []})
    found = dict(run_watched(failing_checks.act, jobs, workers, timeout, memory))
    assert sorted(found) == list(range(len(names)))
    for result in found.values():
        if not isinstance(result, LostJob):
            assert result.pop("state")[0] == 2
    return {name: found[number] for number, name in enumerate(names)}


def test_a_process_that_ends_costs_its_own_job_alone(tmp_path):
    bad = {
        "segfault": "SIGSEGV",
        "abort": "SIGABRT",
        "killed": "killed, as for lack of memory",
        "exit-0": "status 0",
        "exit-3": "status 3",
        "quit": "status 1",
        "hang": "no progress for 2 seconds",
        "raise": "KeyError: 'no\\nsuch key'",
    }
    good = [f"fine-{number}" for number in range(6)]
    names = [name for pair in zip([*bad], [*good, *["x", "y"]], strict=True) for name in pair]
    found = run(tmp_path, names, workers=4)
    for name, words in bad.items():
        assert isinstance(found[name], LostJob) and words in found[name], (name, found[name])
    for name in good:
        assert found[name] == failing_checks.facts()
    # A crash may be another's fault and is tried again; a hang costs time and is not.
    calls = failing_checks.calls(tmp_path)
    assert [calls.count(name) for name in ("segfault", "exit-0", "hang", "raise", "x")] == [
        2, 2, 1, 1, 1,
    ]  # fmt: skip


def test_a_second_try_that_succeeds_counts(tmp_path):
    found = run(tmp_path, ["once", "fine"])
    assert found["once"] == found["fine"] == failing_checks.facts()


def test_progress_puts_the_alarm_off(tmp_path):
    found = run(tmp_path, ["slow", "patient"], timeout=2.0)
    assert found["slow"] == found["patient"] == failing_checks.facts()


def test_memory_is_limited(tmp_path):
    """The job takes 3 GiB, of addresses alone: nothing is written to them."""
    found = run(tmp_path, ["memory", "fine"], workers=1, memory=2 << 30)
    assert "Cannot allocate memory" in found["memory"] and found["fine"] == failing_checks.facts()
    assert run(tmp_path, ["memory"], workers=1)["memory"] == failing_checks.facts()


def test_no_jobs():
    assert list(run_watched(failing_checks.act, [], 2, 1.0, 8 << 30)) == []


def test_processes_end_with_the_caller(tmp_path):
    """Also where it is killed, and while a job hangs."""
    (tmp_path / "hang.avi").write_text("{}")
    code = (
        "from glimpse.pipelines.watched_processes import run_watched\n"
        "from tests import failing_checks\n"
        "if __name__ == '__main__':\n"
        f"    jobs = [{{'path': {str(tmp_path / 'hang.avi')!r}, 'segments': []}}]\n"
        "    list(run_watched(failing_checks.act, jobs, 1, 1.0, 8 << 30))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    caller = subprocess.Popen(
        [sys.executable, script],
        env={"PYTHONPATH": str(ROOT), "GLIMPSE_WITHOUT_KERAS": "1", "PATH": ""},
    )
    log = tmp_path / "log.txt"
    _await(log.exists)
    pid = int(log.read_text().split()[1])
    caller.kill()
    caller.wait()
    _await(lambda: not _command(pid))


def test_a_script_without_a_guard_is_told(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from glimpse.pipelines.watched_processes import run_watched\n"
        "from tests import failing_checks\n"
        "list(run_watched(failing_checks.act, [{'path': 'x'}], 1, 1.0, 8 << 30))\n"
    )
    done = subprocess.run(
        [sys.executable, script],
        env={"PYTHONPATH": str(ROOT), "GLIMPSE_WITHOUT_KERAS": "1", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "ended with status 1 before it began" in done.stderr


def _await(condition):
    for _ in range(200):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("waited for 20 seconds in vain")


def _command(pid):
    """The command line of a process; empty where it has ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
