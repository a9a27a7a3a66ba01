"""Training on several devices or machines at once, with the numbers of one."""

import contextlib

import keras
import tensorflow as tf


class DistributedTraining:
    """Fits a compiled model as `fit` does, each device computing its part of every batch.

    The devices' parts of a batch are together the batch of one device, its loss is the sum of
    what they add to it, gradients are summed before their norm is clipped, and the weights are
    updated alike everywhere. So a run gives the weights of one device up to rounding, unless the
    model drops out: each device draws masks of its own.

    Args:
        devices: A `TrainingDevices` with a strategy.
        model: A `StepTraining`, built and compiled in the strategy's scope.
        windows: The `FeatureWindows` to train on.
        validation: Those to validate on.
        config: The `TrainingConfig`.
        initial_epoch: Number of the first epoch, above 0 in a run that is resumed.

    Raises:
        ValueError: If a batch is smaller than the number of devices, or model and choices cannot
            be computed on several devices.
    """

    def __init__(self, devices, model, windows, validation, config, initial_epoch=0):
        _check_choices(devices, model, config)
        self._strategy = devices.strategy
        self._model = model
        self._config = config
        self._initial_epoch = initial_epoch
        self._sizes = self._batch_sizes(windows.batches_per_epoch(1, config.windows_per_clip))
        self._validation_sizes = self._batch_sizes(validation.num_windows)
        self._batches = self._distribute(
            lambda shard: windows.shuffled(
                config.batch_size, config.seed, initial_epoch, config.windows_per_clip, shard
            )
        )
        self._validation_batches = self._distribute(
            lambda shard: validation.in_order(config.batch_size, shard).repeat()
        )

    def fit(self, callbacks):
        """Trains up to the last epoch, or until a callback sets `model.stop_training`.

        Args:
            callbacks: Keras callbacks.
        """
        model, epochs, steps = self._model, self._config.epochs, len(self._sizes)
        with self._strategy.scope():
            self._draw_other_masks_on_each_device()
        train_step, test_step = self._make_step(self._train), self._make_step(self._test)
        callbacks = keras.callbacks.CallbackList(
            callbacks, model=model, epochs=epochs, steps=steps, verbose=0
        )
        model.stop_training = False
        callbacks.on_train_begin()
        for epoch in range(self._initial_epoch, epochs):
            if model.stop_training:
                break
            callbacks.on_epoch_begin(epoch)
            logs = self._run(train_step, self._batches, self._sizes, callbacks)
            measured = self._run(test_step, self._validation_batches, self._validation_sizes)
            logs |= {f"val_{name}": value for name, value in measured.items()}
            callbacks.on_epoch_end(epoch, logs)
        callbacks.on_train_end()

    def _distribute(self, make_batches):
        """An iterator over what `make_batches` returns of each device's (number, devices)."""

        def of_worker(context):
            devices = context.num_replicas_in_sync
            local = devices // context.num_input_pipelines
            first = context.input_pipeline_id * local
            parts = [make_batches((first + number, devices)) for number in range(local)]
            turns = tf.data.Dataset.range(local).repeat()
            # Without this the workers would ask each other before each step who has data left.
            endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
            return tf.data.Dataset.choose_from_datasets(parts, turns).apply(endless)

        return iter(self._strategy.distribute_datasets_from_function(of_worker))

    def _batch_sizes(self, count):
        size = self._config.batch_size
        return [min(size, count - start) for start in range(0, count, size)]

    def _make_step(self, compute):
        @tf.function
        def step(batches, size):
            losses = self._strategy.run(compute, args=(*next(batches), size))
            return self._strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

        return step

    def _run(self, step, batches, sizes, callbacks=None):
        """Takes one step for each batch; returns the means over their windows."""
        self._model.reset_metrics()
        total = 0.0
        for number, size in enumerate(sizes):
            loss = step(batches, tf.constant(size, tf.float32))
            total += float(loss) * size
            if callbacks:
                callbacks.on_train_batch_end(number)
        results = {**self._model.get_metrics_result(), "loss": total / sum(sizes)}
        return {name: float(results[name]) for name in sorted(results)}

    def _train(self, x, y, size):
        model = self._model
        with tf.GradientTape() as tape:
            loss = self._loss_of_part(x, y, size, training=True)
        gradients = tape.gradient(loss, model.trainable_weights)
        with _clipped_together(model.optimizer, gradients) as scaled:
            # The optimizer sums the devices' gradients.
            model.optimizer.apply(scaled, model.trainable_weights)
        return loss

    def _test(self, x, y, size):
        return self._loss_of_part(x, y, size, training=False)

    def _loss_of_part(self, x, y, size, training):
        """What this device's windows add to the loss of a batch of `size` windows."""
        model, count = self._model, tf.shape(y)[0]
        # No model answers to no window: a part without any is computed of zeros, times 0.
        x, y = tf.cond(count > 0, lambda: (x, y), lambda: tf.nest.map_structure(_one_zero, (x, y)))
        answer = model(x, training=training)
        share = tf.cast(count, tf.float32) / size
        weight = share
        if model.batch_reduction == "sum":
            weight = tf.cast(count > 0, tf.float32)
        loss = model.clip_loss(y, answer) * weight + model.weight_loss() * share
        model.compute_metrics(x, y[:count], {"probabilities": answer["probabilities"][:count]})
        return loss

    def _draw_other_masks_on_each_device(self):
        """Adds each device's number to the seeds of its dropout; the first device's stay.

        It is the first device's that a run's state holds, so that a resumed run draws the same.
        """
        seeds = [
            weight.value
            for weight in self._model.non_trainable_variables
            if weight.path.endswith("seed_generator_state")
        ]

        def add_number():
            number = tf.distribute.get_replica_context().replica_id_in_sync_group
            for seed in seeds:
                seed.assign_add(tf.cast([number, 0], seed.dtype))

        tf.function(lambda: self._strategy.run(add_number))()


def _check_choices(devices, model, config):
    if config.batch_size < devices.replicas:
        raise ValueError(
            f"--batch_size={config.batch_size}: must be at least {devices.replicas}, a window for "
            "each device."
        )
    if config.jit_compile:
        raise ValueError(
            f"--jit_compile: XLA compiles no step of --strategy={devices.name}; leave it out."
        )
    if config.mixed_precision == "mixed_float16":
        raise ValueError(
            f"--mixed_precision=mixed_float16: its scaled loss is not computed by --strategy="
            f"{devices.name}; take mixed_bfloat16."
        )
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            raise ValueError(
                f"--strategy={devices.name}: {layer.name} normalises by the windows of a batch, "
                "and each device would by its own; train the model on one device."
            )


@contextlib.contextmanager
def _clipped_together(optimizer, gradients):
    """Scales one device's gradients as the sum of all devices' is to be clipped.

    Keras would clip what each device has before it sums them, so it does not clip meanwhile.
    """
    norm = optimizer.global_clipnorm
    if norm is None:
        yield gradients
        return
    summed = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, gradients)
    scale = norm / tf.maximum(tf.linalg.global_norm(summed), norm)
    optimizer.global_clipnorm = None
    try:
        yield [gradient * scale for gradient in gradients]
    finally:
        optimizer.global_clipnorm = norm


def _one_zero(tensor):
    return tf.zeros([1, *tensor.shape[1:]], tensor.dtype)


__all__ = ["DistributedTraining"]
