"""Reads when the frames of a video are shown, without their pictures where that is possible."""

import numpy as np

from glimpse.pipelines.video_source import open_video


def read_frame_times(path):
    """Returns the seconds from a video's first frame to each of its frames, float64, rising.

    The times are those of the packets where the container gives them, which takes about a
    hundredth of the time of decoding, else those that decoding gives. A damaged file may give
    fewer frames than it has packets.

    Args:
        path: The file or folder, as for `open_video`.

    Raises:
        VideoError: If it cannot be read.
    """
    with open_video(path) as reader:
        if reader.planned_times is not None:
            return np.array(reader.planned_times)
        for _ in reader:
            pass
        return np.array(reader.frame_times)
