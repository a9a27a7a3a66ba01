"""Trains a captioner on extracted features, with checkpoints that resume bit for bit."""

import dataclasses
import hashlib
import json
import pathlib

import keras
import tensorflow as tf

from glimpse.models.caption_vocabulary import CaptionVocabulary
from glimpse.pipelines.caption_batches import CaptionBatches
from glimpse.pipelines.caption_set import read_captions
from glimpse.pipelines.caption_validation import CaptionValidation
from glimpse.pipelines.captioner_building import (
    describe_captioner,
    make_captioner,
    prepare_captioner,
)
from glimpse.pipelines.feature_index import FeatureIndex
from glimpse.pipelines.partial_file import write_json
from glimpse.pipelines.run_checkpoint import RunCheckpoint
from glimpse.pipelines.run_folder import (
    CONFIG_FILE,
    RESULTS_FILE,
    describe_run,
    is_finished,
    remove_leftovers,
)
from glimpse.pipelines.run_state import STATE_FILE, load_run_state
from glimpse.pipelines.split_overlap import refuse_overlap
from glimpse.pipelines.stamp import make_stamp
from glimpse.pipelines.training_progress import TrainingProgress

_METRICS = {"bleu4": "BLEU-4 of the clips' sentences, fraction", "loss": "loss"}


def train_captioner(features, run, config, resume=False, progress=True):
    """Trains one captioner and returns its results.

    The vocabulary is built from the captions of the training clips, each of which is trained on
    once an epoch. Writes into the folder `run`: `config.json`, `log.csv`, `tensorboard/`,
    `best.keras` (the epoch that was best in validation), `last.keras`, `state.npz` (from which
    `resume` goes on) and `results.json`. Stopped at any moment and resumed, a run gives the same
    bits as one that was not stopped.

    Args:
        features: Folder that `extract_features` wrote of a data set with captions.
        run: Folder of the run; new, or with `resume` that of an interrupted one.
        config: A `CaptionConfig`.
        resume: Whether to go on with the run found in the folder; a finished run is returned as
            it is, and an empty folder starts anew.
        progress: Whether to print what is trained and show a progress bar.

    Raises:
        ValueError: If the folder already holds a run and `resume` is False, or holds a run made
            with other choices; if a split has no captions; if a clip, group or video is in two
            splits; or if features, model and choices do not fit.
    """
    index, run = FeatureIndex.load(features), pathlib.Path(run)
    refuse_overlap(index.entries)
    described = {**describe_run(config, index), "captions_sha256": _hash_of_captions(index)}
    if is_finished(run, described, resume):
        return json.loads((run / RESULTS_FILE).read_text(encoding="utf-8"))
    # Two runs of one seed must agree to the bit, whatever the number of threads.
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(config.seed)
    captions = {
        split: read_captions(index, split, config.max_words, config.min_video_frames)
        for split in ("train", "val")
    }
    vocabulary = CaptionVocabulary.from_captions(
        [words for each in captions["train"].captions for words in each], config.min_count
    )
    model = make_captioner(config, vocabulary)
    batches = CaptionBatches(
        index,
        captions["train"],
        vocabulary,
        config.window_sampling,
        bucket_batches=config.bucket_batches,
    )
    sampling = dataclasses.replace(config.window_sampling, flips=False)
    validation = CaptionBatches(index, captions["val"], vocabulary, sampling)
    steps = batches.batches_per_epoch(config.batch_size)
    prepare_captioner(model, config, batches.features.shape, steps)
    state, history = run / STATE_FILE, []
    if resume and state.exists():
        history = load_run_state(state, model)
    # Only now: choices that cannot be built must not leave a folder that looks like a run.
    run.mkdir(parents=True, exist_ok=True)
    remove_leftovers(run)
    write_json(run / CONFIG_FILE, described)
    if progress:
        print(describe_captioner(model, config, batches.features.shape))
        print(_describe_captions(captions, vocabulary, batches))
    checkpoint = RunCheckpoint(run, history, f"val_{config.monitor}", config.early_stopping)
    callbacks = [checkpoint, keras.callbacks.TensorBoard(run / "tensorboard", write_graph=False)]
    if config.monitor == "bleu4":
        # First, since the others read what it adds.
        callbacks.insert(0, CaptionValidation(validation.features, captions["val"].references))
    if progress:
        callbacks.append(TrainingProgress(config.model))
    if not checkpoint.is_patience_lost:
        model.fit(
            batches.shuffled(config.batch_size, config.seed, len(history)),
            validation_data=validation.in_order(config.batch_size),
            initial_epoch=len(history),
            epochs=config.epochs,
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        )
    counts = {split: dict(each.counts) for split, each in captions.items()}
    for split, each in (("train", batches), ("val", validation)):
        black = each.features.sampling_counts["black_clips"]
        counts[split] |= {"unknown_words": each.unknown_words, "black_clips": black}
    results = _results(config, checkpoint, model, index, counts)
    write_json(run / RESULTS_FILE, results)
    return results


def _hash_of_captions(index):
    """Over what training reads of the captions of all clips."""
    captions = sorted((clip.clip_id, list(clip.captions)) for clip in index.entries)
    return hashlib.sha256(json.dumps(captions).encode()).hexdigest()


def _describe_captions(captions, vocabulary, batches):
    train = captions["train"].counts
    return (
        f"{train['captions']:,} captions of {train['clips']:,} clips, {train['words']:,} words of "
        f"a vocabulary of {len(vocabulary.tokens):,} tokens, {batches.unknown_words} unknown; "
        f"{train['empty_captions']} empty and {train['long_captions']} longer captions left out."
    )


def _results(config, checkpoint, model, index, counts):
    pooling = "teacher forcing"
    if config.monitor == "bleu4":
        pooling = (
            f"words of tokenize_caption, the best of {config.beam_width} beams, "
            f"length penalty {config.length_penalty:g}"
        )
    stamp = make_stamp(
        index,
        dataclasses.asdict(config.window_sampling),
        _METRICS[config.monitor],
        pooling,
        config.seed,
        {split: each["clips"] for split, each in counts.items()},
        left_out={
            split: each["short_clips"] + each["clips_without_captions"]
            for split, each in counts.items()
        },
    )
    return {
        "model": config.model,
        "config": dataclasses.asdict(config),
        "parameters": model.count_params(),
        "vocabulary_size": len(model.vocabulary),
        "epochs": len(checkpoint.history),
        "best_epoch": checkpoint.best,
        "best": checkpoint.history[checkpoint.best],
        "last": checkpoint.history[-1],
        "captions": counts,
        "stamp": stamp,
    }
