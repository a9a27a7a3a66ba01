"""The command line as a newcomer meets it: help, mistakes, exit codes."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

from glimpse_command import COMMANDS
from tests.run_command import run_command

ROOT = pathlib.Path(__file__).parent.parent


def glimpse(*arguments, **options):
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "glimpse", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment | options.pop("env", {}),
        **options,
    )


def assert_fails_in_one_line(done, *words):
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("glimpse")]
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0], lines[0]


def test_overview_names_every_command_and_imports_none():
    done = glimpse("--help")
    assert done.returncode == 0
    for name in COMMANDS:
        assert f"  {name} " in done.stdout


def test_no_command_is_an_error_with_the_overview():
    done = glimpse()
    assert done.returncode == 2 and "usage:" in done.stdout


def test_unknown_command_suggests_the_nearest():
    assert_fails_in_one_line(glimpse("trian"), "'trian'", "train")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_module_with_help(command):
    path = ROOT / "glimpse" / "commands" / f"{command.replace('-', '_')}.py"
    assert path.is_file()
    docstring = path.read_text(encoding="utf-8").split('"""')[1]
    assert "Example: glimpse " + command in docstring


def test_help_of_a_command_explains_its_flags():
    done = glimpse("render", "--help")
    assert done.returncode == 0
    assert "--output" in done.stdout and "--placement" in done.stdout
    assert "usage: glimpse render" in done.stdout
    assert "(default: random)" in done.stdout


def test_unknown_flag_is_named_with_the_nearest(tmp_path):
    done = glimpse("render", f"--output={tmp_path}", "--placemnt=centre")
    assert_fails_in_one_line(done, "placemnt", "placement")


def test_missing_required_flag_is_named():
    assert_fails_in_one_line(glimpse("extract", "--data=x"), "--output")


def test_bad_value_is_named(tmp_path):
    done = glimpse("render", f"--output={tmp_path}/x", "--placement=left")
    assert_fails_in_one_line(done, "placement", "left", "centre")
    assert not (tmp_path / "x").exists()


def test_empty_texts_are_refused_by_name(tmp_path, monkeypatch, capsys):
    """An empty name of a folder would be the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.flags").write_text("--initialize_from=\n")
    for arguments, flag in (
        (("train", "--features=x", "--run="), "--run="),
        (("train", "--features=", "--run=x"), "--features="),
        (("train", "--features=x", "--run=y", "--flagfile=empty.flags"), "--initialize_from="),
        (("explain", "--model=", "--output=x"), "--model="),
        (("class-table", "--output=x", "--names="), "--names="),
    ):
        assert run_command(*arguments) == 1
        said = capsys.readouterr().err
        assert said == (
            f"glimpse {arguments[0]}: {flag} has no value; give it one or leave the flag out.\n"
        )
    assert [path.name for path in tmp_path.iterdir()] == ["empty.flags"]


def test_debug_shows_the_traceback(tmp_path):
    done = glimpse("extract", f"--data={tmp_path}/none", f"--output={tmp_path}/o", "--debug")
    assert done.returncode != 0
    assert "Traceback" in done.stderr


def test_folder_that_is_missing_or_empty_is_named(tmp_path):
    done = glimpse("extract", f"--data={tmp_path}/none", f"--output={tmp_path}/o")
    assert_fails_in_one_line(done, "none")
    (tmp_path / "empty").mkdir()
    done = glimpse("extract", f"--data={tmp_path}/empty", f"--output={tmp_path}/o")
    assert_fails_in_one_line(done, "empty", "no clips")
    assert not (tmp_path / "o").exists()


def test_unknown_model_is_answered_with_the_nearest():
    done = glimpse("predict", "--model=soft_attention_smal", "clip.mp4")
    assert_fails_in_one_line(done, "--model=soft_attention_smal: no such run folder, .keras file")
    assert_fails_in_one_line(done, "did you mean soft_attention_small.tiny_actions?")


@pytest.mark.parametrize(
    "arguments", [("evaluate", "--features=x"), ("explain", "--output=x", "clip.mp4")]
)
def test_a_model_that_is_nowhere_is_named_with_its_flag(capsys, arguments):
    for name in ("runs/typo", "runs/typo.keras"):
        assert run_command(arguments[0], f"--model={name}", *arguments[1:]) == 1
        words = f"--model={name}: no such run folder, .keras file or trained weights.\n"
        assert capsys.readouterr().err == f"glimpse {arguments[0]}: {words}"


def test_other_backends_are_refused():
    done = glimpse("models", env={"KERAS_BACKEND": "jax"})
    assert_fails_in_one_line(done, "KERAS_BACKEND=jax", "tensorflow")


def test_models_lists_the_variants():
    done = glimpse("models", "--pattern=soft*")
    assert done.returncode == 0
    assert "soft_attention_base" in done.stdout and "average" not in done.stdout
    assert_fails_in_one_line(glimpse("models", "--pattern=zzz"), "zzz")


def test_every_summary_matches_a_command_module():
    for command in COMMANDS:
        module = "glimpse.commands." + command.replace("-", "_")
        assert importlib.util.find_spec(module), command


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
