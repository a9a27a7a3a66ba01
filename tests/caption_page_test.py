"""Caption pages hold every frame, word and map, escape every text, and need nothing else."""

import base64
import dataclasses
import re

import numpy as np
import pytest

from glimpse.pipelines.caption_page import write_caption_page
from glimpse.pipelines.caption_strip import caption_scale
from glimpse.pipelines.overlay import colour_table
from tests.caption_gazes import make_caption_gaze
from tests.gaze_page_test import NASTY, Page, decode


def test_page_holds_every_word_frame_and_map(tmp_path):
    first = make_caption_gaze(5, black=2, references=("a dog is running",))
    other = dataclasses.replace(
        first,
        model_name="other",
        words=first.words[:2],
        attention=first.attention[:2] * np.array([1, 0])[:, None, None, None],
        gate=first.gate[:2],
        score=None,
    )
    second = make_caption_gaze(3, video_name="second", boxes=None)
    write_caption_page([first, second, other], tmp_path / "captions.html", "Captions")
    page = Page(tmp_path / "captions.html")
    assert page.data["scale"] == pytest.approx(caption_scale(first, other, second))
    assert base64.b64decode(page.data["colours"]) == colour_table().tobytes()
    clips = page.data["clips"]
    assert [(clip["name"], len(clip["models"])) for clip in clips] == [("video", 2), ("second", 1)]
    assert clips[0]["references"] == ["a dog is running"] and clips[1]["references"] == []
    assert clips[0]["times"] == [0.0, pytest.approx(0.2), pytest.approx(0.4), None, None]
    assert clips[1]["boxes"] is clips[1]["models"][0]["mass"] is None
    shown = [first, other, second]
    models = [*clips[0]["models"], *clips[1]["models"]]
    for gaze, model in zip(shown, models, strict=True):
        assert model["words"] == list(gaze.words) and model["score"] == gaze.score
        maps = np.reshape(model["maps"], gaze.attention.shape) / gaze.attention[0].size
        np.testing.assert_allclose(maps, gaze.attention, atol=1e-5)
        np.testing.assert_allclose(model["gate"], gaze.gate, atol=1e-4)
        np.testing.assert_allclose(model["shares"], gaze.frame_shares, atol=1e-4)
    np.testing.assert_allclose(models[0]["mass"], first.actor_shares()[0], atol=1e-4)
    # The second word reads no features: it has no share on the actor.
    assert models[1]["mass"][0] is not None and models[1]["mass"][1] is None
    for clip, gaze in zip(clips, (first, second), strict=True):
        for source, frame in zip(clip["frames"], gaze.frames, strict=True):
            # Noise is the hardest picture for JPEG.
            assert np.abs(decode(source).astype(int) - frame).mean() < 25


def test_texts_are_escaped_and_nothing_is_fetched(tmp_path):
    gaze = make_caption_gaze(
        2, words=(NASTY,), references=(NASTY,), model_name=NASTY, video_name=NASTY
    )
    write_caption_page(gaze, tmp_path / "captions.html", NASTY, table=[{NASTY: NASTY}])
    page = Page(tmp_path / "captions.html")
    assert page.tags.count("script") == 2 and "b" not in page.tags
    assert page.texts["title"][0] == page.texts["td"][0] == NASTY.strip()
    clip = page.data["clips"][0]
    assert clip["name"] == clip["references"][0] == clip["models"][0]["words"][0] == NASTY
    assert page.addresses == [] and "default-src 'none'" in page.source
    assert set(re.findall(r"\w+://[^\"' ]+", page.source)) == {"http://www.w3.org/2000/svg"}


def test_the_script_knows_every_part_that_captions_have(tmp_path):
    """What the page's script reads by name is there: elements, and the keys of the data."""
    write_caption_page(make_caption_gaze(), tmp_path / "captions.html", "Captions")
    page = Page(tmp_path / "captions.html")
    script = page.source.rsplit("<script>", 1)[1]
    for name in set(re.findall(r'by\("([\w-]+)"\)', script)):
        assert f'id="{name}"' in page.source, name
    (clip,) = page.data["clips"]
    for name in ("words", "gate", "shares", "mass", "uniform", "score", "grid", "maps"):
        assert f"model.{name}" in script and name in clip["models"][0]


def test_bad_arguments_are_named(tmp_path):
    with pytest.raises(ValueError, match="style must be one of .* got 'glow'"):
        write_caption_page(make_caption_gaze(), tmp_path / "x.html", "Captions", style="glow")
    with pytest.raises(ValueError, match="were made from different frames"):
        write_caption_page([make_caption_gaze(), make_caption_gaze(5)], tmp_path / "x.html", "C")
    assert list(tmp_path.iterdir()) == []


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
