"""Overlays put their light where the weight is, on one scale for the whole clip."""

import numpy as np
import pytest

from glimpse.pipelines.overlay import (
    attention_scale,
    colour_table,
    legend_image,
    overlay,
    relative_attention,
    upsample_attention,
)

GREY = np.full((56, 84, 3), 120, np.uint8)


def peaked_map(row, column, height=7, width=7, weight=0.5):
    peaked = np.full((height, width), (1 - weight) / (height * width - 1))
    peaked[row, column] = weight
    return peaked


def test_upsampled_peak_lies_in_its_cell_and_keeps_its_weight():
    for row, column in [(0, 0), (2, 5), (6, 6), (3, 1)]:
        smooth = upsample_attention(peaked_map(row, column), (63, 105))
        y, x = np.unravel_index(smooth.argmax(), smooth.shape)
        assert (y // 9, x // 15) == (row, column)
        assert smooth[row * 9 + 4, column * 15 + 7] == pytest.approx(0.5 * 49, rel=1e-5)
        lowest = 0.5 / 48 * 49
        assert smooth.min() >= lowest * (1 - 1e-9) and smooth.max() <= 0.5 * 49 * (1 + 1e-9)


def test_uniform_map_is_one_everywhere():
    uniform = np.full((5, 3), 1 / 15)
    np.testing.assert_allclose(upsample_attention(uniform, (41, 77)), 1.0, rtol=1e-5)
    np.testing.assert_allclose(relative_attention(uniform), 1.0)


@pytest.mark.parametrize("style", ["heat", "dim"])
def test_uniform_map_gives_a_uniform_overlay(style):
    shown = overlay(GREY, np.full((7, 7), 1 / 49), scale=4.0, style=style)
    assert shown.shape == GREY.shape and shown.dtype == np.uint8
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == 1
    assert not np.array_equal(shown, GREY)


def test_heat_is_strongest_at_the_peak():
    shown = overlay(GREY, peaked_map(1, 4), scale=24.5).astype(int)
    y, x = np.unravel_index(np.abs(shown - 120).sum(axis=-1).argmax(), shown.shape[:2])
    assert (y // 8, x // 12) == (1, 4)


def test_dim_is_brightest_at_the_peak_and_darkest_away_from_it():
    shown = overlay(GREY, peaked_map(5, 2), scale=24.5, style="dim", opacity=1.0).sum(axis=-1)
    y, x = np.unravel_index(shown.argmax(), shown.shape)
    assert (y // 8, x // 12) == (5, 2)
    assert shown.max() > 3 * 116 and shown[0, -1] < 3 * 45


def test_dim_light_is_proportional_to_weight():
    white = np.full((7, 7, 3), 255, np.uint8)
    half, full = (
        overlay(white, np.full((7, 7), 1 / 49), scale=s, style="dim", opacity=1.0)[3, 3, 0]
        for s in (2.0, 1.0)
    )
    light = (half / 255 - 0.2) / 0.8
    assert full == 255 and light**2.2 == pytest.approx(0.5, abs=0.01)


def test_same_weight_looks_the_same_in_every_frame_of_a_clip():
    sharp, flat = peaked_map(3, 3, weight=0.9), peaked_map(3, 3, weight=0.1)
    scale = attention_scale(np.stack([sharp, sharp, flat]))
    assert scale == pytest.approx(0.9 * 49)
    bright = [overlay(GREY, m, scale)[28, 42].astype(int).sum() for m in (sharp * 0, flat, sharp)]
    assert bright[0] < bright[1] < bright[2]
    shared = [overlay(GREY, m, 2.0)[28, 42] for m in (flat, sharp)]
    np.testing.assert_array_equal(*shared)


def test_scale_is_the_median_peak_of_the_most_peaked_model():
    flat = np.full((3, 7, 7), 1 / 49)
    assert attention_scale(flat) == 4.0
    peaked = np.stack([peaked_map(0, 0, weight=w) for w in (0.2, 0.5, 0.9)] + [np.zeros((7, 7))])
    assert attention_scale(flat, peaked) == pytest.approx(24.5)
    assert attention_scale(np.zeros((2, 7, 7))) == 4.0
    with pytest.raises(ValueError, match="got none"):
        attention_scale()


def test_opacity_zero_is_the_frame():
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    for style in ("heat", "dim"):
        np.testing.assert_array_equal(overlay(frame, peaked_map(2, 2), 9.0, style, 0.0), frame)


def test_legend_shows_what_the_overlay_shows():
    bar = legend_image(10, 256, "dim")
    assert np.all(np.diff(bar[0, :, 0].astype(int)) >= 0) and bar[0, -1, 0] == 150
    shown = overlay(np.full((7, 7, 3), 150, np.uint8), np.full((7, 7), 1 / 49), scale=255 / 64)
    np.testing.assert_array_equal(shown[3, 3], legend_image(10, 256)[0, 64])
    assert colour_table().shape == (256, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((GREY / 255, peaked_map(0, 0), 4.0), "frame must be uint8"),
        ((GREY, np.zeros((2, 7, 7)), 4.0), "attention_map must have the shape"),
        ((GREY, -peaked_map(0, 0), 4.0), "not negative"),
        ((GREY, peaked_map(0, 0), 0.0), "scale must be above 0, got 0.0"),
        ((GREY, peaked_map(0, 0), 4.0, "glow"), "style must be one of .* got 'glow'"),
        ((GREY, peaked_map(0, 0), 4.0, "dim", 1.5), "opacity must be from 0 to 1, got 1.5"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        overlay(*arguments)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
