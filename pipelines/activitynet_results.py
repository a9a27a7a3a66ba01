"""Writes answers in the form that ActivityNet's own evaluation code reads."""

import numpy as np

from glimpse.pipelines.block_combination import combine_blocks
from glimpse.pipelines.partial_file import write_json


def write_activitynet_results(results, path, version, external_data=""):
    """Writes a results file of ActivityNet's classification task.

        {"version": ..., "results": {video id: [{"label", "score"}, ...]},
         "external_data": {"used": bool, "details": str}}

    A video's scores are the mean of its clips'; every class is listed, the best first.

    Args:
        results: A dict that `evaluate` or `fuse` returned.
        path: The JSON file.
        version: Of the data set's release, such as "VERSION 1.3".
        external_data: What besides the release the model was trained on; empty: nothing.
    """
    names, videos = results["label_names"], {}
    for clip in results["clips"]:
        videos.setdefault(clip["video_id"], []).append(clip["probabilities"])
    answers = {}
    for video, scores in videos.items():
        mean = combine_blocks(scores)
        best = np.argsort(-mean, kind="stable")
        answers[video] = [{"label": names[c], "score": float(mean[c])} for c in best]
    details = {"used": bool(external_data), "details": external_data}
    write_json(path, {"version": version, "results": answers, "external_data": details})
