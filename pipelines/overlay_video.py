"""Overlay videos: the clip beside the same clip with a model's attention on it (MP4)."""

import pathlib

import matplotlib
import numpy as np
import tqdm
from PIL import Image, ImageDraw, ImageFont

from glimpse.pipelines.overlay import attention_scale, legend_image, overlay
from glimpse.pipelines.tiny_actions import write_clip

_SMALLEST_SIDE = 448
_GAP, _PANEL = 8, 124
_BACKGROUND, _INK, _GREY = (16, 18, 22), (240, 243, 246), (150, 158, 168)
_BAR, _BAR_EMPTY = (88, 150, 235), (52, 58, 66)
_FONTS = pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def write_overlay_video(
    gaze,
    path,
    video_frames=None,
    style="heat",
    scale=None,
    opacity=None,
    boxes=True,
    progress=False,
):
    """Writes the clip and its overlay side by side, at the video's own rate.

    Every video frame from the first attended frame to the last is shown. A map, its box and its
    probability are held from their frame to the next attended one; of attended frames with one
    index (a clip padded with its last frame) the last counts.

    Args:
        gaze: A `Gaze`.
        path: The file to write; its name ends in .mp4 (MPEG-4 part 2: every OpenCV wheel
            writes it, though browsers do not play it).
        video_frames: The whole video's frames from frame 0 on, uint8 RGB of the size of
            `gaze.frames`, as any iterable; it is read once and never held whole. Default: each
            attended frame is held until the next.
        style: As in `overlay`.
        scale: As in `overlay`; default: `attention_scale` of the clip.
        opacity: As in `overlay`.
        boxes: Whether to draw the actor's box, where it is known.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If an argument is malformed or `video_frames` ends too early.
        OSError: If the file cannot be written whole; nothing new then stands at `path`.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() != ".mp4":
        raise ValueError(f"path must end in .mp4, got {path}.")
    if scale is None:
        scale = attention_scale(gaze.attention)
    view = _View(gaze, scale, style, opacity, boxes)
    first, last = int(gaze.frame_indices[0]), int(gaze.frame_indices[-1])
    numbered = _numbered_frames(gaze, video_frames, first, last)
    bar = tqdm.tqdm(
        numbered, total=last - first + 1, desc=path.name, unit="frame", disable=not progress
    )
    with bar:
        pictures = (view.draw(index, frame) for index, frame in bar)
        write_clip(path, pictures, gaze.frames_per_second, "mp4v")


def _numbered_frames(gaze, video_frames, first, last):
    """Yields each shown frame's index in the video, and the frame."""
    if video_frames is None:
        for index in range(first, last + 1):
            yield index, gaze.frames[np.searchsorted(gaze.frame_indices, index, "right") - 1]
        return
    index = -1
    for index, frame in enumerate(video_frames):
        if index > last:
            return
        frame = np.asarray(frame)
        if frame.shape != gaze.frames.shape[1:] or frame.dtype != np.uint8:
            raise ValueError(
                f"video_frames must be uint8 of shape {gaze.frames.shape[1:]}, as gaze.frames; "
                f"frame {index} is {frame.dtype} of shape {frame.shape}."
            )
        if index >= first:
            yield index, frame
    if index < last:
        raise ValueError(
            f"video_frames has {index + 1} frames, but frame_indices reach {last}: pass the whole "
            "video from frame 0 on."
        )


class _View:
    """Draws one picture of the video at a time."""

    def __init__(self, gaze, scale, style, opacity, boxes):
        height, width = gaze.frame_size
        self.factor = max(1, -(-_SMALLEST_SIDE // min(height, width)))
        self.gaze, self.boxes = gaze, gaze.boxes if boxes else None
        self.drawing = (scale, style, opacity)
        self.frame_size = (height * self.factor, width * self.factor)
        # Encoders of colour video halve both sides, so both must be even.
        self.size = (
            2 * self.frame_size[1] + _GAP,
            self.frame_size[0] + _PANEL + self.frame_size[0] % 2,
        )
        self.fonts = {
            (name, size): ImageFont.truetype(str(_FONTS / f"{name}.ttf"), size)
            for name, size in (("DejaVuSans-Bold", 22), ("DejaVuSans", 20), ("DejaVuSans", 16))
        }

    def draw(self, index, frame):
        """The picture for one frame of the video, uint8 RGB."""
        gaze = self.gaze
        held = int(np.searchsorted(gaze.frame_indices, index, "right")) - 1
        large = np.repeat(np.repeat(frame, self.factor, axis=0), self.factor, axis=1)
        height, width = self.frame_size
        picture = np.empty((self.size[1], self.size[0], 3), np.uint8)
        picture[:] = _BACKGROUND
        picture[:height, :width] = large
        picture[:height, width + _GAP : 2 * width + _GAP] = overlay(
            large, gaze.attention[held], *self.drawing
        )
        image = Image.fromarray(picture)
        pen = ImageDraw.Draw(image)
        if self.boxes is not None:
            box = np.clip(self.boxes[held].reshape(2, 2), 0, gaze.frame_size[::-1]) * self.factor
            # A box that has left the frame has no sides to draw.
            if np.all(box[1] - box[0] >= 2):
                for left in (0, width + _GAP):
                    x0, y0, x1, y1 = (box + [left, 0]).reshape(-1)
                    pen.rectangle((x0 - 1, y0 - 1, x1, y1), outline=(0, 0, 0))
                    pen.rectangle((x0, y0, x1 - 1, y1 - 1), outline=(255, 255, 255), width=2)
        self._panel(pen, image, held, index, height)
        return np.asarray(image)

    def _panel(self, pen, image, held, index, top):
        gaze, width = self.gaze, self.size[0]
        _, steps = gaze.probability_of(gaze.shown_label)
        truth = "true" if gaze.true_label is not None else "predicted"
        probability = float(np.clip(steps[held], 0, 1))
        line = f"{truth} label: {gaze.shown_label}"
        self._text(pen, 14, top + 14, line, ("DejaVuSans-Bold", 22), _INK, width // 2 - 28)
        answer = f"{gaze.model_name}: {gaze.predicted_label} {gaze.probabilities.max():.0%}"
        if gaze.true_label is not None:
            answer += " ✓" if gaze.predicted_label == gaze.true_label else " ✗"
        self._text(pen, width // 2 + 4, top + 14, answer, ("DejaVuSans", 20), _INK, width // 2 - 18)
        # Now: the probability after this frame; the bar's length is its value.
        bar = (14, top + 58, width // 2 - 90, top + 70)
        pen.rectangle(bar, fill=_BAR_EMPTY)
        if probability > 0:
            end = bar[0] + (bar[2] - bar[0]) * probability
            pen.rectangle((bar[0], bar[1], end, bar[3]), fill=_BAR)
        self._text(pen, bar[2] + 14, top + 52, f"{steps[held]:.0%}", ("DejaVuSans", 20), _INK, 70)
        x = width // 2 + 4
        image.paste(Image.fromarray(legend_image(14, 150, *self.drawing[1:])), (x, top + 57))
        words = f"0 to {self.drawing[0]:.3g}× uniform"
        if not gaze.is_real[held]:
            words = "masked frame: no attention"
        self._text(pen, x + 162, top + 53, words, ("DejaVuSans", 16), _GREY, width // 2 - 180)
        first, last = gaze.frame_indices[[0, -1]]
        done = (index - first) / max(1, last - first)
        pen.rectangle((14, top + 96, width - 150, top + 102), fill=_BAR_EMPTY)
        pen.rectangle((14, top + 96, 14 + (width - 164) * done, top + 102), fill=_GREY)
        times = f"{index / gaze.frames_per_second:.2f} s"
        self._text(pen, width - 134, top + 88, times, ("DejaVuSans", 20), _GREY, 126)

    def _text(self, pen, x, y, string, font, colour, room):
        font = self.fonts[font]
        # Names may hold line breaks, which would run over the next line of the panel.
        string = shown = " ".join(string.split())
        while len(string) > 1 and pen.textlength(shown, font) > room:
            string = string[:-1]
            shown = string.rstrip() + "…"
        pen.text((x, y), shown, colour, font)
