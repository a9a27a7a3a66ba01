"""The papers' numbers: complete, the same in the table and in the recipes, and listed."""

import collections
import pathlib
import re
import statistics

import pytest

import glimpse
import glimpse_command
from glimpse.pipelines.published_numbers import (
    RECIPES,
    best_published,
    read_published_numbers,
    recipe_flags,
    recipe_rows,
)

ROOT = pathlib.Path(__file__).parent.parent
NUMBERS = read_published_numbers()
LIST = ["glimpse", "models", "--recipes"]
PUBLISHED = sorted({number.recipe for number in NUMBERS})


def test_every_table_is_whole():
    """Rows of the papers' own models, as counted in the papers' tables."""
    counts = collections.Counter((number.paper, number.table) for number in NUMBERS)
    assert counts == {
        ("Sharma 2015; thesis", "1; 2.1"): 18,
        # Accuracy and mean average precision; the networks of others are left out.
        ("Torabi 2017", "1"): 2 * 9,
        ("Torabi 2017", "2"): 2 * 8,
        ("Torabi 2017", "3"): 2 * 6,
        ("Torabi 2017", "4"): 10,
        ("Torabi 2017", "5"): 9,
        ("CHAM 2017", "1"): 3,
        # Sixteen classes and their mean.
        ("CHAM 2017", "2"): 3 * 17,
        ("CHAM 2017", "3"): 3,
        # BLEU-1 to -4 and METEOR.
        ("Sharma's thesis 2016", "3.1"): 3 * 5,
    }


def test_every_recipe_of_a_paper_has_numbers_and_every_number_a_recipe():
    files = {path.stem for path in RECIPES.glob("*.flags")}
    assert set(PUBLISHED) == {name for name in files if not name.startswith("tiny_actions_")}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_recipes_first_line_cites_its_numbers(name):
    comment = (RECIPES / f"{name}.flags").read_text(encoding="utf-8").partition("\n")[0]
    own = [n for n in NUMBERS if n.recipe == name and not n.metric.startswith("AP of ")]
    table, paper = own[0].table.partition(";")[0], own[0].paper.partition(" ")[0]
    assert f"Table {table}" in comment and (paper in comment)
    cited = set(re.findall(r"([\d.]+) %", comment))
    assert cited and cited <= {number.percent for number in own}
    assert own[0].dataset in comment


def test_chams_means_are_those_of_its_classes():
    for row in ("FC-Attention", "Conv-Attention", "CHAM"):
        own = [n for n in NUMBERS if (n.paper, n.table, n.row) == ("CHAM 2017", "2", row)]
        classes = [float(n.percent) for n in own if n.metric.startswith("AP of ")]
        (mean,) = (float(n.percent) for n in own if n.metric == "mAP")
        # The paper rounds the classes and cuts the mean.
        assert statistics.mean(classes) == pytest.approx(mean, abs=0.08)


def test_the_best_of_a_variant_is_the_largest_number_of_its_recipes():
    assert best_published("soft_attention_base")["UCF-11", "accuracy"] == "84.96"
    assert best_published("soft_attention_large") == {("HMDB-51", "accuracy"): "41.31"}
    assert best_published("soft_attention_small") == {}


def test_recipes_name_models_of_the_registry_or_members():
    for path in RECIPES.glob("*.flags"):
        flags = recipe_flags(path)
        assert "members" in flags or flags["model"] in glimpse.list_models()


def test_an_ensembles_members_are_recipes_of_the_same_data_set():
    for name in PUBLISHED:
        members = recipe_flags(RECIPES / f"{name}.flags").get("members")
        if members:
            assert set(members.split(",")) <= set(PUBLISHED)
            dataset = "_".join(name.split("_")[:2])
            assert all(member.startswith(f"{dataset}_alstm_") for member in members.split(","))


def test_a_line_that_is_no_flag_is_refused(tmp_path):
    path = tmp_path / "bad.flags"
    path.write_text("--model=a\nmodel=b\n")
    with pytest.raises(ValueError, match="'model=b' is no flag"):
        recipe_flags(path)


def test_the_command_lists_the_papers_number_beside_ours(capsys):
    arguments = [*LIST, "--nomarkdown", "--pattern=sharma_ucf11_*lambda_0"]
    assert glimpse_command.execute(arguments) == 0
    (line,) = capsys.readouterr().out.splitlines()[2:]
    assert "84.96" in line and "not trained here" in line
    assert len(recipe_rows()) == len(NUMBERS)


def test_the_documentation_shows_the_whole_table(capsys):
    assert glimpse_command.execute([*LIST, "--markdown", "--pattern=*"]) == 0
    page = (ROOT / "docs" / "published_numbers.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out in page, "paste `glimpse models --recipes --markdown` there"


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
