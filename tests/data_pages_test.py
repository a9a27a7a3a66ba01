import json
import pathlib
import re
import shlex

import pytest

from glimpse.pipelines.datasets import READERS, find_reader
from glimpse.pipelines.published_numbers import RECIPES
from glimpse.pipelines.recipe_plan import plan_recipe

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "data"
COMMANDS = ROOT / "glimpse" / "commands"
# Flags that a command takes over from another file, named in its own.
SHARED = {
    "DatasetFlags": ROOT / "glimpse/dataset_flags.py",
    "training_flags": ROOT / "glimpse/training_flags.py",
    "caption_flags": ROOT / "glimpse/caption_flags.py",
    "TrainingFlags": ROOT / "glimpse/config_flags.py",
    "CaptionFlags": ROOT / "glimpse/config_flags.py",
}


def commands(name):
    """Yields (command, {flag: value}) of the shell blocks of a page."""
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            program, command, *flags = shlex.split(line)
            assert program == "glimpse"
            yield command, dict(flag.removeprefix("--").partition("=")[::2] for flag in flags)


def defined_flags(command):
    source = (COMMANDS / f"{command.replace('-', '_')}.py").read_text(encoding="utf-8")
    source += "".join(p.read_text(encoding="utf-8") for w, p in SHARED.items() if w in source)
    return set(re.findall(r'"(\w+)"', source)) | {"flagfile"}


def test_every_data_set_has_a_page_that_the_index_lists():
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    assert {path.stem for path in PAGES.glob("*.md")} == {*READERS, "README"}
    for name in READERS:
        assert f"[`{name}`]({name}.md)" in index


@pytest.mark.parametrize("name", sorted(READERS))
def test_the_commands_of_a_page_are_ones_that_there_are(name):
    used = list(commands(name))
    assert {"check-data", "extract"} <= {command for command, _ in used}
    for command, flags in used:
        known = defined_flags(command)
        for flag in flags:
            assert flag in known or flag.removeprefix("no") in known, (command, flag)
        if "flagfile" in flags:
            assert (ROOT / flags["flagfile"]).is_file()
        if "recipe" in flags:
            plan = plan_recipe(flags["recipe"])
            assert plan.dataset == name and (RECIPES / f"{flags['recipe']}.flags").is_file()
            needed = {each.name for each in (plan.features, plan.attended) if each}
            assert needed == {each.partition("=")[0] for each in flags["backbones"].split(",")}
        if command in ("check-data", "extract"):
            assert flags.get("dataset", name) == name


@pytest.mark.parametrize("name", sorted(READERS))
def test_the_options_that_a_page_names_are_the_readers(name):
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    for options in re.findall(r"\{\"\w+\": .*?\}(?=['`])", text):
        if "classes" not in options:
            find_reader(name, json.loads(options))
    for rule in re.findall(r"--split_rule=(\w+)", text):
        source = ROOT / f"pipelines/datasets/{READERS[name][0]}.py"
        assert f'"{rule}"' in source.read_text(encoding="utf-8")


def test_the_links_of_the_pages_lead_somewhere():
    for page in PAGES.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (PAGES / target).is_file(), (page.name, target)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
