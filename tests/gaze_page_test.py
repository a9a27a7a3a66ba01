"""Gaze pages hold every frame and map, escape every name, and need nothing else."""

import base64
import dataclasses
import html.parser
import json
import pathlib
import re

import cv2
import numpy as np
import pytest

from glimpse.pipelines.gaze import Gaze, attention_mass, uniform_mass
from glimpse.pipelines.gaze_page import write_gaze_page
from glimpse.pipelines.overlay import colour_table

NASTY = """<b>&"' </script><script>alert(1)</script> @@DATA@@ \u2028"""


def make_gaze(frames=4, **changes):
    generator = np.random.default_rng(5)
    attention = generator.random((frames, 3, 5)) ** 3
    pictures = np.empty((frames, 30, 40, 3), np.uint8)
    pictures[:] = np.linspace(30, 220, frames)[:, None, None, None]
    pictures[..., 2] = 128
    steps = generator.random((frames, 2))
    fields = {
        "frames": pictures,
        "frame_indices": np.arange(frames) * 2 + 1,
        "frames_per_second": 10.0,
        "attention": attention / attention.sum(axis=(1, 2), keepdims=True),
        "step_probabilities": steps / steps.sum(axis=1, keepdims=True),
        "probabilities": np.array([0.3, 0.7]),
        "label_names": ("bow", "squat"),
        "true_label": "bow",
        "boxes": np.tile([4.0, 3.0, 12.0, 15.0], (frames, 1)),
    }
    return Gaze(**(fields | changes))


class Page(html.parser.HTMLParser):
    """The elements and texts of a page, and what its data holds."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.texts, self.addresses = [], {}, []
        self.source = pathlib.Path(path).read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        self.data = json.loads(re.search(r'id="data">(.*?)</script>', self.source, re.S)[1])

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]

    def handle_data(self, text):
        self.texts.setdefault(self.tags[-1] if self.tags else "", []).append(text.strip())


def decode(source):
    header, content = source.split(",")
    assert header == "data:image/jpeg;base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), 1)[..., ::-1]


def test_page_holds_every_frame_map_and_probability(tmp_path):
    first = make_gaze()
    second = make_gaze(frames=3, video_name="second", boxes=None, true_label=None)
    other = dataclasses.replace(first, model_name="other", attention=first.attention[::-1])
    write_gaze_page([first, second, other], tmp_path / "gaze.html", "Gaze")
    page = Page(tmp_path / "gaze.html")
    clips = page.data["clips"]
    assert [(clip["name"], len(clip["models"])) for clip in clips] == [("video", 2), ("second", 1)]
    for clip, gaze in zip(clips, (first, second), strict=True):
        assert len(clip["frames"]) == len(gaze.frames)
        for source, frame in zip(clip["frames"], gaze.frames, strict=True):
            np.testing.assert_allclose(decode(source).astype(int), frame, atol=4)
        model = clip["models"][0]
        maps = np.reshape(model["maps"], gaze.attention.shape) / 15
        np.testing.assert_allclose(maps, gaze.attention, atol=1e-5)
        np.testing.assert_allclose(model["steps"], gaze.step_probabilities, atol=1e-4)
        np.testing.assert_allclose(clip["times"], gaze.times)
    mass = attention_mass(other.attention, other.boxes, other.frame_size)
    np.testing.assert_allclose(clips[0]["models"][1]["mass"], mass, atol=1e-4)
    np.testing.assert_allclose(
        clips[0]["uniform"], uniform_mass(first.boxes, first.frame_size), atol=1e-4
    )
    assert clips[1]["boxes"] is clips[1]["uniform"] is clips[1]["models"][0]["mass"] is None
    np.testing.assert_allclose(
        clips[1]["models"][0]["shown"], second.step_probabilities[:, 1], 1e-3
    )
    assert base64.b64decode(page.data["colours"]) == colour_table().tobytes()


def test_masked_frames_have_no_mass(tmp_path):
    attention = np.array(make_gaze().attention)
    attention[2] = 0.0
    write_gaze_page(make_gaze(attention=attention), tmp_path / "gaze.html", "Gaze")
    mass = Page(tmp_path / "gaze.html").data["clips"][0]["models"][0]["mass"]
    assert [value is None for value in mass] == [False, False, True, False]


def test_names_are_escaped(tmp_path):
    gaze = make_gaze(
        model_name=NASTY, video_name=NASTY, label_names=(NASTY, "squat"), true_label=NASTY
    )
    write_gaze_page(gaze, tmp_path / "gaze.html", NASTY, table=[{NASTY: NASTY}])
    page = Page(tmp_path / "gaze.html")
    assert page.tags.count("script") == 2 and "b" not in page.tags
    assert page.texts["title"][0] == page.texts["h1"][0] == NASTY.strip()
    assert page.texts["th"][0] == page.texts["td"][0] == NASTY.strip()
    clip = page.data["clips"][0]
    assert clip["name"] == clip["trueLabel"] == clip["models"][0]["labels"][0] == NASTY


def test_page_needs_no_network(tmp_path):
    write_gaze_page(make_gaze(), tmp_path / "gaze.html", "Gaze")
    page = Page(tmp_path / "gaze.html")
    assert page.addresses == [] and "link" not in page.tags
    assert "default-src 'none'" in page.source
    # The one address is the name of the SVG namespace, which nothing fetches.
    assert set(re.findall(r"\w+://[^\"' ]+", page.source)) == {"http://www.w3.org/2000/svg"}
    assert "@@" not in page.source


def test_table_shows_all_columns(tmp_path):
    rows = [{"model": "content", "accuracy": 0.97712}, {"model": "state", "clips": 480}]
    write_gaze_page(make_gaze(), tmp_path / "gaze.html", "Gaze", table=rows)
    source = Page(tmp_path / "gaze.html").source
    assert '<th scope="col">model</th><th class="number" scope="col">accuracy</th>' in source
    assert '<td>content</td><td class="number">0.9771</td><td class="number"></td>' in source
    assert '<td>state</td><td class="number"></td><td class="number">480</td>' in source


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "gaze.html"
    path.write_text("old")
    write_whole = pathlib.Path.write_text

    def fill_the_disk(self, text, **options):
        write_whole(self, text[:10], **options)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_text", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        write_gaze_page(make_gaze(), path, "Gaze")
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_bad_arguments_are_named(tmp_path):
    with pytest.raises(ValueError, match="style must be one of .* got 'glow'"):
        write_gaze_page(make_gaze(), tmp_path / "gaze.html", "Gaze", style="glow")
    with pytest.raises(ValueError, match="scale must be above 0, got 0"):
        write_gaze_page(make_gaze(), tmp_path / "gaze.html", "Gaze", scale=0)
    with pytest.raises(FileNotFoundError, match="create it first"):
        write_gaze_page(make_gaze(), tmp_path / "absent" / "gaze.html", "Gaze")


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
