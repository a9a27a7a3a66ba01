"""Video files to clips, features, training, evaluation and pictures of the attention.

Names are imported when they are asked for, so that `import glimpse.pipelines` needs
neither OpenCV nor TensorFlow.
"""

import importlib

_MODULES = {
    "CaptionGaze": "caption_gaze",
    "CaptionConfig": "caption_config",
    "FeatureIndex": "feature_index",
    "FeatureStore": "feature_store",
    "Gaze": "gaze",
    "Highlights": "highlights",
    "Manifest": "manifest",
    "Segment": "segment",
    "TinyActionsConfig": "tiny_actions_config",
    "TrainingConfig": "training_config",
    "VideoAnswerer": "video_answer",
    "VideoCaptionAnswerer": "caption_answer",
    "VideoError": "video_error",
    "VideoReader": "video_reader",
    "WindowSampling": "window_sampling",
    "attention_mass": "gaze",
    "average_precision": "ranking",
    "bleu": "bleu_score",
    "check_data": "data_check",
    "class_gains": "class_gain",
    "class_table": "class_scores",
    "combine_blocks": "block_combination",
    "draw_caption_strip": "caption_strip",
    "draw_dimmed_frames": "dimmed_frames",
    "draw_film_strip": "film_strip",
    "draw_highlight_strip": "highlight_strip",
    "evaluate": "evaluation",
    "evaluate_captioner": "caption_evaluation",
    "explain": "explanation",
    "explain_captions": "caption_explanation",
    "extract_features": "extraction",
    "glimpse_maps": "manual_glimpse",
    "look_at_rates": "sampling_rate_effect",
    "look_manually": "manual_glimpse",
    "mean_average_precision": "ranking",
    "open_video": "video_source",
    "read_clips": "clips",
    "read_manifest": "manifest",
    "render_tiny_actions": "tiny_actions",
    "sample_blocks": "sampling",
    "save_split": "saved_split",
    "search_glimpse": "glimpse_search",
    "train": "training",
    "train_captioner": "caption_training",
    "usable_clips": "manifest",
    "write_caption_page": "caption_page",
    "write_gaze_page": "gaze_page",
    "write_overlay_video": "overlay_video",
}

__all__ = [*_MODULES]


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module 'glimpse.pipelines' has no attribute {name!r}")
    return getattr(importlib.import_module(f"glimpse.pipelines.{_MODULES[name]}"), name)


def __dir__():
    return __all__
