"""Describe video files in words: the n best sentences of each, with their scores.

A score is the sum of the log-probabilities of the words and the end, divided by the length
penalty. A file that cannot be decoded is reported and the others are described all the same; the
exit status is then 1.

Example: glimpse caption --model=runs/captioner clip.mp4 other.avi
"""

import json
import sys

from absl import flags

from glimpse.pipelines.caption_answer import VideoCaptionAnswerer
from glimpse.pipelines.video_error import VideoError
from glimpse.trained_model import BACKBONE_HELP, load_trained_model
from glimpse.video_arguments import DATA_HELP, read_truths, require_videos

_MODEL = flags.DEFINE_string(
    "model",
    "captioner_small.tiny_actions",
    "A folder that `glimpse train-captioner` wrote, a .keras file, or trained weights by name "
    "(`glimpse models --pretrained`).",
)
_BACKBONE = flags.DEFINE_string("backbone", None, BACKBONE_HELP)
_BEAM_WIDTH = flags.DEFINE_integer(
    "beam_width", None, "Sentences that the search keeps; default: the model's.", lower_bound=1
)
_NUM_CAPTIONS = flags.DEFINE_integer(
    "num_captions",
    None,
    "Sentences to print for each file; default: all that the search keeps.",
    lower_bound=1,
)
_LENGTH_PENALTY = flags.DEFINE_float(
    "length_penalty",
    None,
    "Exponent of ((5 + length) / 6) that divides a score; default: the model's.",
    lower_bound=0.0,
)
_MAX_WORDS = flags.DEFINE_integer(
    "max_words", None, "Length at which a sentence is cut, its end counted.", lower_bound=1
)
_MIN_WORDS = flags.DEFINE_integer("min_words", 0, "Fewest words of a sentence.", lower_bound=0)
_DATA = flags.DEFINE_string(
    "data", None, DATA_HELP + " Its captions are printed below as GT, what is true."
)
_JSON = flags.DEFINE_bool("json", False, "Print a JSON object per file.")


def main(argv):
    """Describes the files named after the flags."""
    paths = require_videos(argv, "glimpse caption clip.mp4 [more ...]")
    model, backbone = load_trained_model(_MODEL.value, _BACKBONE.value, ("captioner",))
    answerer = VideoCaptionAnswerer(
        model,
        backbone,
        beam_width=_BEAM_WIDTH.value,
        max_words=_MAX_WORDS.value,
        length_penalty=_LENGTH_PENALTY.value,
        min_words=_MIN_WORDS.value,
    )
    width = _BEAM_WIDTH.value or answerer.captioner.beam_width
    if (_NUM_CAPTIONS.value or 0) > width:
        raise ValueError(
            f"--num_captions={_NUM_CAPTIONS.value}: the search keeps {width} sentences; set "
            f"--beam_width={_NUM_CAPTIONS.value}."
        )
    failed = 0
    for path, (truth, _) in zip(paths, read_truths(_DATA.value, paths), strict=True):
        try:
            answer = answerer.answer(path)
        except (VideoError, OSError) as error:
            failed += 1
            print(f"glimpse caption: {error}", file=sys.stderr)
            continue
        references = (truth or {}).get("captions", ())
        print(_as_json(answer, references) if _JSON.value else _as_text(answer, references))
        sys.stdout.flush()
    if failed:
        print(f"glimpse caption: {failed} of {len(paths)} files failed.", file=sys.stderr)
    return 1 if failed else 0


def _as_text(answer, references):
    lines = [answer.path]
    for caption in answer.captions[: _NUM_CAPTIONS.value]:
        cut = "" if caption.ended else " ..."
        lines.append(f"  {caption.score:8.3f}  {caption.text}{cut}")
    lines += [f"        GT  {text}" for text in references]
    lines += [f"  note: {note}" for note in answer.notes]
    return "\n".join(lines)


def _as_json(answer, references):
    row = {
        "path": answer.path,
        "captions": [
            {
                "text": caption.text,
                "score": caption.score,
                "words": caption.words,
                "gate": [round(float(beta), 4) for beta in caption.gate],
                "ended": caption.ended,
            }
            for caption in answer.captions[: _NUM_CAPTIONS.value]
        ],
        "references": list(references),
        "frames": answer.num_frames,
        "frames_read": len(answer.frame_indices),
        "black_frames": answer.black_frames,
        "notes": list(answer.notes),
    }
    return json.dumps(row, ensure_ascii=False)
