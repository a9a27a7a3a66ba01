"""MSVD (YouTube2Text): 1,970 short clips, each with about 41 English sentences.

What:    FOLDER/YouTubeClips/<id>_<start>_<end>.avi, the captions' CSV file (VideoID,Start,End,
         WorkerID,Source,AnnotationTime,Language,Description), and youtube_mapping.txt, lines
         `<id>_<start>_<end> vid<number>`
Splits:  by that number: 1 to 1200 train, 1201 to 1300 val, 1301 to 1970 test
Clips:   named vid<number>; without labels, their captions in truth["captions"]

One video (bQJQGoJF7_k) gives clips to both train and val of this split, which everybody uses. So
the clips have no `video_id` that would have it refused.
"""

import collections
import csv
import io
import os
import re

from absl import logging

from glimpse.pipelines.clips import Clip, ClipSet
from glimpse.pipelines.listed_clips import separate_missing
from glimpse.pipelines.utf8_file import read_utf8

NUM_CLIPS = 1970
_SPLIT_ENDS = {"train": 1200, "val": 1300, "test": NUM_CLIPS}
_CSV_NAMES = ("MSR Video Description Corpus.csv", "video_corpus.csv")
_COLUMNS = "VideoID,Start,End,WorkerID,Source,AnnotationTime,Language,Description".split(",")
SOURCES = ("clean", "unverified")


def read_msvd(folder, captions=None, mapping=None, language="English", sources=SOURCES):
    """Reads MSVD.

    Args:
        folder: The folder of YouTubeClips/.
        captions: The captions' CSV file; None: "MSR Video Description Corpus.csv" or
            video_corpus.csv in the folder.
        mapping: File that numbers the clips; None: youtube_mapping.txt in the folder.
        language: Of which captions to take, as the CSV spells it.
        sources: Of which captions to take: "clean", "unverified" or both.

    Returns:
        A ClipSet without label names. Each clip's `truth` has its `captions` as written, in the
        order of the file, its `youtube_id`, and its `start` and `end` there in seconds.

    Raises:
        ValueError: If a file is missing, or a line is none of it.
    """
    if not sources or not set(sources) <= set(SOURCES):
        raise ValueError(f"sources must be some of {SOURCES}, got {sources!r}.")
    names = [os.path.join(folder, name) for name in _CSV_NAMES]
    captions = captions or next(filter(os.path.isfile, names), names[0])
    numbers = _read_mapping(mapping or os.path.join(folder, "youtube_mapping.txt"))
    left_out = collections.Counter()
    sentences = _read_captions(captions, numbers, language, sources, left_out)
    videos = os.path.join(folder, "YouTubeClips")
    clips = []
    for name, number in sorted(numbers.items(), key=lambda item: item[1]):
        split = next(split for split, end in _SPLIT_ENDS.items() if number <= end)
        if not sentences[name]:
            left_out[f"clips without a caption in {language}"] += 1
            continue
        # Ids hold "_" themselves: the last two are between the numbers.
        youtube_id, start, end = name.rsplit("_", 2)
        truth = {
            "captions": tuple(sentences[name]),
            "youtube_id": youtube_id,
            "start": int(start),
            "end": int(end),
        }
        path = os.path.join(videos, f"{name}.avi")
        clips.append(Clip(f"vid{number}", path, (), split, truth))
    if len(numbers) != NUM_CLIPS:
        logging.warning("%s: maps %d of MSVD's 1970 clips.", ascii(folder), len(numbers))
    clips, missing = separate_missing(clips)
    unknown = _look_for_others(videos, numbers, left_out)
    split_name = f"1200/100/670 by number, {language} captions, {' and '.join(sources)}"
    return ClipSet("MSVD", (), clips, unknown, "msvd", split_name, missing, dict(left_out))


def _read_mapping(path):
    """Returns {clip name: number}."""
    if not os.path.isfile(path):
        raise ValueError(f"{path}: is missing; it numbers the clips, and the split is by number.")
    numbers = {}
    for line_number, line in enumerate(read_utf8(path).splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        whole = re.fullmatch(r"(\S+_\d+_\d+) vid(\d+)", " ".join(fields))
        number = int(whole[2]) if whole else 0
        taken = whole and (whole[1] in numbers or number in numbers.values())
        if not 1 <= number <= NUM_CLIPS or taken:
            raise ValueError(
                f"{path} line {line_number}: must be `<id>_<start>_<end> vid<number>`, a name "
                f"and a number up to {NUM_CLIPS} that no other line has; got {line.strip()!r}."
            )
        numbers[whole[1]] = number
    if not numbers:
        raise ValueError(f"{path}: maps no clips.")
    return numbers


def _read_captions(path, numbers, language, sources, left_out):
    """Returns {clip name: captions}; what is not taken is counted."""
    if not os.path.isfile(path):
        raise ValueError(f"{path}: is missing; name the captions' CSV file by `captions`.")
    sentences = collections.defaultdict(list)
    with io.StringIO(read_utf8(path), newline="") as file:
        rows = csv.reader(file, strict=True)
        try:
            if next(rows, None) != _COLUMNS:
                raise ValueError(f"the first line must be {','.join(_COLUMNS)}")
            for row in rows:
                if not any(row):
                    left_out["captions: empty rows"] += 1
                    continue
                if len(row) != len(_COLUMNS):
                    raise ValueError(f"has {len(row)} fields, not {len(_COLUMNS)}")
                video, start, end, _, source, _, spoken, text = row
                name = f"{video}_{start}_{end}"
                if spoken != language:
                    left_out[f"captions: not in {language}"] += 1
                elif source not in sources:
                    left_out[f"captions: not {' or '.join(sources)}"] += 1
                elif not text.strip():
                    left_out["captions: empty"] += 1
                elif name not in numbers:
                    left_out["captions: of segments that are no clip"] += 1
                else:
                    sentences[name].append(text.strip())
        except (ValueError, csv.Error) as error:
            raise ValueError(f"{path} line {rows.line_num}: {error}.") from error
    return sentences


def _look_for_others(videos, numbers, left_out):
    """Counts clips that the mapping does not have; returns the files that are no clips."""
    if not os.path.isdir(videos):
        raise ValueError(f"{videos}: is missing; unpack YouTubeClips.tar.")
    unknown = []
    for name in sorted(os.listdir(videos)):
        stem, suffix = os.path.splitext(name)
        if suffix != ".avi":
            unknown.append(f"YouTubeClips/{name}")
        elif stem not in numbers:
            left_out["clips that the mapping does not have"] += 1
    return tuple(unknown)
