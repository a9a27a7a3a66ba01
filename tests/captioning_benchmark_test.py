"""The benchmark of the search of captions runs, in a tiny size."""

import importlib.util
import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow]


def test_prints_one_json_object_per_case_and_one_of_memory(tmp_path):
    command = [sys.executable, "-m", "benchmarks.captioning", "--json", "--sizes=tiny"]
    command += ["--batch=2", "--words=3", "--rounds=2", f"--addons_python={tmp_path}/python"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    *timed, peaks = [json.loads(line) for line in result.stdout.splitlines()]
    cases = {row["case"]: row for row in timed}
    torch = {"PyTorch"} if importlib.util.find_spec("torch") else set()
    assert set(cases) == {"floor", "glimpse", "glimpse + XLA"} | torch
    for row in timed:
        assert row["size"] == "tiny" and row["words"] == 3
        assert row["seconds"] > 0 and row["first_answer"] > 0
        assert row["ratio_to_floor"] > 0 and row["ratio_to_glimpse"] > 0
    assert cases["floor"]["ratio_to_floor"] == cases["glimpse"]["ratio_to_glimpse"] == 1
    assert peaks["peak_beam"] > 0 and peaks["ratio"] > 0


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
