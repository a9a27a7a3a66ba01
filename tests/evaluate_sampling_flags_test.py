"""The sampling of `glimpse evaluate`: as trained, but for what the flags change."""

import importlib
import sys

import pytest
from absl import flags

from glimpse.pipelines.window_sampling import WindowSampling

MODULE = "glimpse.commands.evaluate"


@pytest.fixture
def read():
    """Reads a sampling from a model's own and flags, as the command does."""
    sys.modules.pop(MODULE, None)
    evaluate = importlib.import_module(MODULE)

    def read_sampling(known, *arguments):
        flags.FLAGS(["evaluate", "--model=x", "--features=y", *arguments])
        return evaluate._sampling(known)

    yield read_sampling
    for flag in flags.FLAGS.get_flags_for_module(MODULE):
        delattr(flags.FLAGS, flag.name)
    flags.FLAGS.unparse_flags()


THESIS = {"num_frames": 26, "sampling_rule": "first_frames", "spread_over": 120}


def test_what_is_not_given_is_as_trained(read):
    assert read(THESIS) == WindowSampling(**THESIS)
    assert read({"num_frames": 5, "block_stride": 7}) == WindowSampling(5)


def test_flags_change_the_rule_and_leave_what_belongs_to_the_old_one(read):
    assert read(THESIS, "--sampling_rule=blocks") == WindowSampling(26)
    windows = {"sampling_rule": "random_windows", "eval_windows": 40}
    changed = read(windows, "--sampling_rule=first_frames", "--spread_over=60")
    assert changed == WindowSampling(30, sampling_rule="first_frames", spread_over=60)


def test_flags_change_the_rate(read):
    changed = read({"step_stride": 4}, "--frames_per_second=10", "--rate_rule=stride")
    assert changed == WindowSampling(30, 10.0, rate_rule="stride")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--spread_over=60"], "^--spread_over must be left out unless sampling_rule is first_fr"),
        (["--rate_rule=stride"], "^--rate_rule must be left out unless frames_per_second"),
        (
            ["--sampling_rule=random_frames", "--block_stride=2"],
            "^--block_stride must be left out unless --sampling_rule is blocks, got 2",
        ),
        (["--sampling_rule=first_frames", "--eval_windows=2"], "^--eval_windows must be left out"),
    ],
)
def test_flags_without_effect_are_refused(read, arguments, words):
    with pytest.raises(ValueError, match=words):
        read({"num_frames": 8}, *arguments)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
