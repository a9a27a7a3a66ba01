"""How each data set's papers measure: on what level, by which number, pooled how."""

import dataclasses

LEVELS = ("clip", "video")
RULES = ("mean", "majority")
METRICS = {
    "step_accuracy": "accuracy of steps (frames), fraction",
    "window_accuracy": "accuracy of windows (blocks), fraction",
    "clip_accuracy": "accuracy of clips, fraction",
    "video_accuracy": "accuracy of videos, fraction",
    "mean_average_precision": "average precision, fraction, mean over classes",
    "bleu1": "BLEU-1 of a set of sentences, fraction",
    "bleu2": "BLEU-2 of a set of sentences, fraction",
    "bleu3": "BLEU-3 of a set of sentences, fraction",
    "bleu4": "BLEU-4 of a set of sentences, fraction",
    "meteor": "METEOR 1.5 of a set of sentences, fraction",
    "rouge_l": "ROUGE-L of sentences, fraction, mean over clips",
    "cider": "CIDEr-D of sentences, times 10, mean over clips",
    "sentence_accuracy": "sentences that are right word for word, fraction",
}
CAPTION_METRICS = tuple(METRICS)[list(METRICS).index("bleu1") :]


@dataclasses.dataclass(frozen=True)
class EvaluationProtocol:
    """What decides a result besides the model and the clips.

    A window's answer is the mean over its steps, a clip's is `combine_blocks` of its windows, and
    a video's the mean of its clips. A clip that is a whole video is scored alike on both levels.

    Args:
        name: The data set whose protocol it is; "custom" if a choice was made otherwise.
        metric: The headline, one of `METRICS`.
        rule: "mean" or "majority": how a clip's windows become one answer.
        level: "clip" or "video": what average precision and the confusion matrix count. On the
            level of videos the truth is each video's distinct labels.
        interpolated: Whether average precision takes the precision's envelope.

    Raises:
        ValueError: If a choice is none of those.
    """

    name: str = "general"
    metric: str = "clip_accuracy"
    rule: str = "mean"
    level: str = "clip"
    interpolated: bool = False

    def __post_init__(self):
        for name, value, allowed in (
            ("metric", self.metric, METRICS),
            ("rule", self.rule, RULES),
            ("level", self.level, LEVELS),
        ):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}.")

    def changed(self, **choices):
        """Returns this protocol with the choices that are not None; "custom" if one differs."""
        chosen = {name: value for name, value in choices.items() if value is not None}
        other = dataclasses.replace(self, **chosen)
        if other == self:
            return self
        if self.name.startswith("custom"):
            return other
        return dataclasses.replace(other, name=f"custom ({self.name})")


# Sharma et al. 2015, section 4.2: the mean of the class probabilities over all steps and blocks.
# Hollywood2: mean over 12 classes of non-interpolated average precision. Yan et al. 2017, section
# 3.1: accuracy of frames on UCF Sports, average precision by class on Olympic Sports. Torabi and
# Sigal 2017, section 4.1: accuracy and average precision of trimmed samples of ActivityNet.
PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        EvaluationProtocol(),
        EvaluationProtocol("ucf11"),
        EvaluationProtocol("hmdb51"),
        EvaluationProtocol("hollywood2", metric="mean_average_precision"),
        EvaluationProtocol("activitynet"),
        # ActivityNet's own evaluation code: one answer a video, the precision's envelope.
        EvaluationProtocol(
            "activitynet_untrimmed",
            metric="mean_average_precision",
            level="video",
            interpolated=True,
        ),
        EvaluationProtocol("ucf_sports", metric="step_accuracy"),
        EvaluationProtocol("olympic_sports", metric="mean_average_precision"),
        # Sharma's thesis, section 3.2.2: BLEU and METEOR of one sentence a clip.
        EvaluationProtocol("msvd", metric="bleu4"),
    )
}
_CAPTIONS = EvaluationProtocol("captions", metric="bleu4")


def find_protocol(name):
    """Returns the protocol of a data set; of one that has none of its own, the general one."""
    return PROTOCOLS.get(name, PROTOCOLS["general"])


def find_caption_protocol(name):
    """Returns the protocol by which a data set's sentences are measured; else the general one."""
    found = find_protocol(name)
    return found if found.metric in CAPTION_METRICS else _CAPTIONS
