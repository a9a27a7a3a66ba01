"""Draw where a model looked in video files: film strip, overlay video and an HTML page.

For each file the first window from --start on is shown. Several models, for comparison, are
given by repeating --model. Where the video belongs to a data set that knows the boxes of its
figures (--data), the actor's box is drawn and the attention's mass in it printed.

Of a captioner, the frames are drawn for each word of its best caption of at least one word, with
the word's beta, as one picture for each file and model, and an HTML page.

Example: glimpse explain --model=runs/soft --output=pictures clip.mp4
"""

from absl import flags
from tabulate import tabulate

from glimpse.pipelines.caption_answer import VideoCaptionAnswerer
from glimpse.pipelines.caption_explanation import explain_captions
from glimpse.pipelines.explanation import explain
from glimpse.trained_model import BACKBONE_HELP, MODEL_HELP
from glimpse.video_arguments import DATA_HELP, load_answerers, read_truths, require_videos

_MODEL = flags.DEFINE_multi_string(
    "model", None, MODEL_HELP + " May be repeated. (required)", required=True
)
_BACKBONE = flags.DEFINE_string("backbone", None, BACKBONE_HELP)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the pictures (required).", required=True)
_DATA = flags.DEFINE_string("data", None, DATA_HELP)
_START = flags.DEFINE_float("start", 0.0, "Second of the video to begin at.", lower_bound=0.0)
_COLUMNS = flags.DEFINE_integer("columns", 8, "Frames in the film strip.", lower_bound=1)
_STYLE = flags.DEFINE_enum(
    "style", "heat", ["heat", "dim"], "Colours over the frame, or the papers' brightness."
)


def main(argv):
    """Explains the files named after the flags."""
    paths = require_videos(argv, "glimpse explain --model=... --output=... clip.mp4")
    # A caption without a word has no gaze to draw.
    answerers = load_answerers(_MODEL.value, _BACKBONE.value, ("classifier", "captioner"), 1)
    truths = read_truths(_DATA.value, paths)
    are_captioners = {isinstance(each, VideoCaptionAnswerer) for each in answerers.values()}
    if are_captioners == {True, False}:
        raise ValueError("--model: captioners and classifiers are explained one kind at a time.")
    explain_with = _explain_captioners if are_captioners == {True} else _explain_classifiers
    rows, written = explain_with(answerers, paths, truths)
    print(tabulate(rows, headers="keys", floatfmt=".3f"))
    for path in written:
        print(path)


def _explain_classifiers(answerers, paths, truths):
    gazes = [
        answerer.gaze(path, truth, label, _START.value, model_name=name)
        for path, (truth, label) in zip(paths, truths, strict=True)
        for name, answerer in answerers.items()
    ]
    written = explain(gazes, _OUTPUT.value, paths, columns=_COLUMNS.value, style=_STYLE.value)
    rows = []
    for gaze in gazes:
        row = {"video": gaze.video_name, "model": gaze.model_name, "says": gaze.predicted_label}
        rows.append({**row, "truth": gaze.true_label or "?", **(gaze.localisation() or {})})
    return rows, written


def _explain_captioners(answerers, paths, truths):
    if _START.value:
        raise ValueError(f"--start={_START.value:g}: a captioner describes all of a video.")
    gazes, rows, notes = [], [], []
    for path, (truth, _) in zip(paths, truths, strict=True):
        for name, answerer in answerers.items():
            answer = answerer.answer(path)
            gaze = answerer.look(answer, truth, model_name=name)
            gazes.append(gaze)
            row = {"video": gaze.video_name, "model": name, "says": gaze.text, "score": gaze.score}
            rows.append({**row, "GT": gaze.references[0] if gaze.references else "?"})
            notes += [f"{path}: {note}" for note in answer.notes]
    for note in dict.fromkeys(notes):
        print(note)
    return rows, explain_captions(
        gazes, _OUTPUT.value, paths, columns=_COLUMNS.value, style=_STYLE.value
    )
