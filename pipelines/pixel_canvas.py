"""A picture that is drawn from the top down, one unit to the pixel: tiles, boxes and text."""

import cv2
import numpy as np
from matplotlib import patheffects
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from glimpse.pipelines.partial_file import partial_file

INK, GREY, PALE = "#1f2328", "#59636e", "#e4e8ec"
RIGHT, WRONG, NEUTRAL = "#1a7f37", "#c4321f", "#3b6fb6"
MARGIN, GAP = 40, 8
_DPI = 100


class PixelCanvas:
    """A white picture in pixels; `y` is how far down it has been drawn.

    Args:
        width: Pixels.
        height: Pixels.
    """

    def __init__(self, width, height):
        self.width, self.height, self.y = width, height, MARGIN
        self.figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
        self.renderer = FigureCanvasAgg(self.figure).get_renderer()
        # Above the figure's own images, so that boxes lie on the frames.
        self.axes = self.figure.add_axes((0, 0, 1, 1), facecolor="none", zorder=1)
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.axes.axis("off")

    @property
    def right(self):
        """Where the right margin begins."""
        return self.width - MARGIN

    def image(self, x, y, image):
        """Puts an uint8 RGB image with its upper left corner at x, y."""
        self.figure.figimage(image, x, self.height - y - len(image), origin="upper")

    def rectangle(self, x, y, width, height, colour, **options):
        """Fills a rectangle."""
        patch = Rectangle((x, y), width, height, facecolor=colour, linewidth=0, **options)
        self.axes.add_patch(patch)

    def rule(self, y):
        """Draws a thin line from margin to margin."""
        self.rectangle(MARGIN, y, self.width - 2 * MARGIN, 2, PALE)

    def frame(self, x, y, width, height, colour, thickness=6):
        """Draws a border inside the edges of a tile."""
        inset = thickness / 2
        patch = Rectangle(
            (x + inset, y + inset), width - thickness, height - thickness, fill=False,
            edgecolor=colour, linewidth=thickness * 72 / _DPI, joinstyle="miter",
        )  # fmt: skip
        self.axes.add_patch(patch)

    def outline(self, box, origin, factor):
        """Draws a box of a frame, x0, y0, x1, y1 in its pixels, in white with a dark edge.

        Args:
            box: Corners in the frame's pixels.
            origin: Where the frame's tile begins, x and y.
            factor: Tile pixels for one of the frame's, along x and y.
        """
        (x0, y0, x1, y1), (x, y) = np.multiply(box, np.tile(factor, 2)), origin
        patch = Rectangle((x + x0, y + y0), x1 - x0, y1 - y0, fill=False, edgecolor="white")
        patch.set(linewidth=1.6)
        patch.set_path_effects([patheffects.withStroke(linewidth=3.4, foreground="#000000a0")])
        self.axes.add_patch(patch)

    def line(self, xs, ys, colour, width=2, **options):
        """Draws a line through points."""
        self.axes.plot(xs, ys, color=colour, linewidth=width * 72 / _DPI, **options)

    def text(self, x, y, string, pixels, colour=INK, room=None, **options):
        """Writes one line, its middle at y; shortens it to `room` pixels; returns its width."""
        text = self.axes.text(
            x, y, string, fontsize=pixels * 72 / _DPI, color=colour, parse_math=False,
            family="DejaVu Sans", va=options.pop("va", "center_baseline"), **options,
        )  # fmt: skip
        extent = text.get_window_extent(self.renderer).width
        while room is not None and extent > room and len(string) > 1:
            string = string[:-1]
            text.set_text(string.rstrip() + "\u2026")
            extent = text.get_window_extent(self.renderer).width
        return extent

    def save(self, path):
        """Writes the picture as a PNG, whole or not at all.

        Raises:
            OSError: If the file cannot be written; nothing new then stands at `path`.
        """
        with partial_file(path) as partial:
            self.figure.savefig(partial, format="png", dpi=_DPI, metadata={"Software": None})


def enlarge(frame, tile_size):
    """Resizes a frame to a tile's width and height.

    By whole factors first: edges of small frames stay crisp instead of blurred.
    """
    width, height = tile_size
    factor = max(-(-width // frame.shape[1]), -(-height // frame.shape[0]))
    frame = np.repeat(np.repeat(frame, factor, axis=0), factor, axis=1)
    if frame.shape[:2] == (height, width):
        return frame
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
