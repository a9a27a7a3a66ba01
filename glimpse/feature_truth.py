"""What the data set in --data knows of the clips whose features are in --features."""

from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.feature_store import feature_key
from glimpse.pipelines.video_source import decoder_for, video_sha256

_MAPPED = {"figures", "action_interval"}


def read_feature_truth(data, index, split):
    """Returns {clip_id: truth} for the clips of a split, or None where `data` is None.

    Args:
        data: Folder of the data set, or None.
        index: The `FeatureIndex`.
        split: `"train"`, `"val"` or `"test"`.

    Raises:
        ValueError: If the features are not those of the data set's videos, or it knows nothing of
            a clip.
    """
    if not data:
        return None
    clip_set, clips = read_clips(data, index.protocol), index.clips(split)
    # The truth of official sets, such as captions, has nothing that a map could be held to.
    known = {c.clip_id: c for c in clip_set.clips if c.truth and not _MAPPED.isdisjoint(c.truth)}
    other = f"--data={data}: is not the data set of --features={index.folder}"
    # How an official set was divided is not known here; the keys below tell whether it is the one.
    if known and not index.protocol and clip_set.split_hash != index.split_hash:
        raise ValueError(
            f"{other}: its clips, labels or splits differ. Name the one they were extracted from."
        )
    if not all(clip.clip_id in known for clip in clips):
        raise ValueError(f"--data={data}: knows no boxes for the clips of the features.")
    for clip in clips:
        # Data sets rendered from two seeds share the ids and labels of all clips.
        path = known[clip.clip_id].path
        key = feature_key(
            video_sha256(path), index.backbone_fingerprint, index.dtype, decoder_for(path)
        )
        if key != clip.key:
            raise ValueError(
                f"{other}: its video {clip.clip_id} is another. Name the one they were extracted "
                "from, or extract again."
            )
    return {clip.clip_id: known[clip.clip_id].truth for clip in clips}
