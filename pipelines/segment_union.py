"""Which parts of a video to read so that all of some segments are in them."""

import math

from glimpse.pipelines.segment import Segment


def union_of(segments):
    """The fewest parts of a video that hold all segments and do not overlap each other.

    Segments that overlap are in one part; those that only touch have their own. Where some are
    in seconds and others in frames, they cannot be compared, and the whole video is one part.

    Args:
        segments: `Segment`s, or None for the whole video.

    Returns:
        A list of `Segment`s in order, or `[None]` for the whole video.
    """
    segments = [normal(segment) for segment in segments]
    if None in segments or len({segment.unit for segment in segments}) > 1:
        return [None]
    parts = []
    for segment in sorted(segments, key=lambda each: (each.start, _end(each))):
        if parts and segment.start < _end(parts[-1]):
            parts[-1] = _joined(parts[-1], segment)
        else:
            parts.append(segment)
    return [normal(part) for part in parts]


def span_of(segments):
    """The one part of a video, from first to last, that holds all segments; None: all of it."""
    segments = [normal(segment) for segment in segments]
    if None in segments or len({segment.unit for segment in segments}) > 1:
        return None
    span = segments[0]
    for segment in segments[1:]:
        span = _joined(span, segment)
    return normal(span)


def normal(segment):
    """The segment, or None where it is the whole video."""
    if segment is None or (segment.start == 0 and segment.end is None):
        return None
    return segment


def _joined(one, other):
    end = max(_end(one), _end(other))
    return Segment(min(one.start, other.start), None if end == math.inf else end, one.unit)


def _end(segment):
    return math.inf if segment.end is None else segment.end
