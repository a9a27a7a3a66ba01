"""Cards: where a trained file comes from, what it scores and how to check it."""

import dataclasses
import hashlib
import json
import pathlib

_CARDS = pathlib.Path(__file__).parent / "cards"
_WEIGHTS = pathlib.Path(__file__).parent / "weights"


@dataclasses.dataclass(frozen=True)
class WeightsCard:
    """What is known of one trained file; the single source of the README's zoo table.

    Args:
        name: `variant.tag` of a model, or the name of a backbone.
        file: The file's name in the folder of weights.
        sha256: SHA-256 of the file, in hexadecimal.
        license: SPDX identifier.
        command: The command that made the file.
        facts: Everything else, as measured: data set, split, metric with unit and pooling, seed,
            versions. A classifier's has `video_accuracy`; a captioner's has `bleu4`,
            `vocabulary_size` and, where sentences can be right word for word, the fraction of
            those that are, `sentence_accuracy`.
    """

    name: str
    file: str
    sha256: str
    license: str
    command: str
    facts: dict

    @property
    def path(self):
        return _WEIGHTS / self.file

    @property
    def score(self):
        """What the model scores, in a few words; the accuracy of videos needs none."""
        if "video_accuracy" in self.facts:
            return f"{self.facts['video_accuracy']:.3f}"
        sentences = self.facts.get("sentence_accuracy")
        right = "" if sentences is None else f", whole sentences {sentences:.3f}"
        return f"BLEU-4 {self.facts['bleu4']:.3f}{right}"

    def verified_path(self):
        """Returns the weights' path after comparing the file's SHA-256 with the card's.

        Raises:
            FileNotFoundError: If the file is absent.
            ValueError: If the file is not the one that the card describes.
        """
        if not self.path.is_file():
            raise FileNotFoundError(
                f"The weights of {self.name!r} are missing: {self.path}. Install glimpse again."
            )
        found = file_sha256(self.path)
        if found != self.sha256:
            raise ValueError(
                f"{self.path} is not the file that its card describes: SHA-256 {found}, "
                f"expected {self.sha256}. It is damaged or was changed; install glimpse again."
            )
        return self.path


def file_sha256(path):
    """Returns the SHA-256 of a file in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_cards():
    """Returns the shipped cards by name."""
    cards = {}
    for path in sorted(_CARDS.glob("*.json")):
        values = json.loads(path.read_text(encoding="utf-8"))
        known = {field: values.pop(field) for field in ("name", "file", "sha256", "license")}
        card = WeightsCard(**known, command=values.pop("command"), facts=values)
        cards[card.name] = card
    return cards
