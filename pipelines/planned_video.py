"""Which frames of each video file to extract, for which clips."""

import dataclasses

from glimpse.pipelines.segment_union import normal, union_of


@dataclasses.dataclass(frozen=True)
class PlannedVideo:
    """One video file on its way through the extraction: what is stored of it, for which clips.

    Args:
        path: The video file.
        parts: The parts of it whose features are stored, each under a key of its own: `Segment`s,
            or None for the whole video.
        clips: One (number of the clip, its part's place in `parts`, its `Segment` or None) for
            each clip of this video.
        checked_sha256: Hash that the video must have; None: any.
    """

    path: str
    parts: tuple
    clips: tuple
    checked_sha256: str | None = None


def plan_videos(clips, frames_per_input=1, checked=None):
    """Groups clips by their video, so that each frame goes through the backbone once.

    Clips of one video that overlap share what is stored. A backbone that reads several frames at
    a time counts them from the clip's first: then only clips of the same segment share.

    Args:
        clips: `Clip`s.
        frames_per_input: Frames that the backbone reads at a time.
        checked: {path: hash that the video must have}; None: any.

    Returns:
        A list of PlannedVideo in the order of each video's first clip.
    """
    by_path = {}
    for number, clip in enumerate(clips):
        by_path.setdefault(clip.path, []).append((number, normal(clip.segment)))
    videos = []
    for path, members in by_path.items():
        segments = [segment for _, segment in members]
        parts = union_of(segments) if frames_per_input == 1 else list(dict.fromkeys(segments))
        planned = [(number, _place(segment, parts), segment) for number, segment in members]
        sha256 = None if checked is None else checked[path]
        videos.append(PlannedVideo(path, tuple(parts), tuple(planned), sha256))
    return videos


def _place(segment, parts):
    """The place in `parts` of the one that holds a segment."""
    if segment in parts or None in parts:
        return parts.index(segment if segment in parts else None)
    starts = [place for place, part in enumerate(parts) if part.start <= segment.start]
    return starts[-1]
