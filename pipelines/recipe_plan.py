"""What a recipe needs besides its training flags, read from the recipe itself."""

import dataclasses
import difflib
import json
import re
import shlex

from glimpse.pipelines.published_numbers import RECIPES, read_published_numbers, recipe_flags

# The tables' names of the data sets, and the readers'.
DATASETS = {
    "UCF-11": "ucf11",
    "HMDB-51": "hmdb51",
    "Hollywood2": "hollywood2",
    "ActivityNet": "activitynet",
    "UCF Sports": "ucf_sports",
    "Olympic Sports": "olympic_sports",
    "MSVD": "msvd",
}
_COMMENT = re.compile(r"^# (Features|Attended features): glimpse extract (.*?)(?: \([^']*\))?\.$")


@dataclasses.dataclass(frozen=True)
class FeaturesNeeded:
    """Features that a recipe reads.

    Args:
        backbone: Name of the backbone.
        options: Its options.
        flips: Whether those of the mirrored frames are needed too.
    """

    backbone: str
    options: dict
    flips: bool = False

    @property
    def name(self):
        """What the features are called: "googlenet", or "vgg19_205_fc6" of 205 classes."""
        told = (self.options.get("classes"), self.options.get("output"))
        return "_".join([self.backbone, *(str(each) for each in told if each is not None)])


@dataclasses.dataclass(frozen=True)
class RecipePlan:
    """What a recipe needs.

    Args:
        recipe: Its name.
        dataset: Name of the data set's reader.
        features: The `FeaturesNeeded` of its steps; None for an ensemble.
        attended: Those of the frames attended to, or None.
        members: The recipes of an ensemble's members.
        starts_from: The recipe, on another data set, whose run it starts from; None where it starts
            from none, or no number of such a run was published (`needs_start` tells).
        needs_start: Whether it starts from the run of another data set.
        numbers: The `PublishedNumber`s that it reproduces.
        describes: Whether it trains a captioner, by the flags of `glimpse train-captioner`.
    """

    recipe: str
    dataset: str
    features: FeaturesNeeded | None
    attended: FeaturesNeeded | None
    members: tuple
    starts_from: str | None
    needs_start: bool
    numbers: tuple
    describes: bool = False

    @property
    def needs(self):
        """The features that it reads, those of an ensemble's members not included."""
        return tuple(each for each in (self.features, self.attended) if each is not None)


def plan_recipe(name):
    """Returns the `RecipePlan` of a recipe of a published number.

    Raises:
        ValueError: If there is no such recipe.
    """
    numbers = tuple(n for n in read_published_numbers() if n.recipe == name)
    if not numbers:
        known = sorted({number.recipe for number in read_published_numbers()})
        near = difflib.get_close_matches(str(name), known, n=3)
        hint = f"Nearest: {', '.join(near)}." if near else "`glimpse models --recipes` lists them."
        raise ValueError(f"no recipe {name!r}. {hint}")
    path = RECIPES / f"{name}.flags"
    flags = recipe_flags(path)
    needed = dict(_read_needed(path))
    needs_start = "initialize_from" in flags
    # Of attention at the last step alone there is no number on ActivityNet.
    source = name.replace("_hollywood2_", "_activitynet_")
    has_source = needs_start and source != name and (RECIPES / f"{source}.flags").is_file()
    return RecipePlan(
        recipe=name,
        dataset=DATASETS[numbers[0].dataset],
        features=needed.get("Features"),
        attended=needed.get("Attended features"),
        members=tuple(filter(None, flags.get("members", "").split(","))),
        starts_from=source if has_source else None,
        needs_start=needs_start,
        numbers=numbers,
        describes=flags.get("model", "").startswith("captioner"),
    )


def _read_needed(path):
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith(("# Features:", "# Attended features:")):
            continue
        found = _COMMENT.match(line)
        if found is None:
            raise ValueError(f"{path}: {line!r} does not name a `glimpse extract` command.")
        flags = dict(part.partition("=")[::2] for part in shlex.split(found[2]))
        yield (
            found[1],
            FeaturesNeeded(
                flags["--backbone"],
                json.loads(flags.get("--backbone_options", "{}")),
                "--flips" in flags,
            ),
        )
