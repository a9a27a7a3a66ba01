"""Learning rates that hold for a while and then fall."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="glimpse")
class StepDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A constant rate at first, then smaller ones.

        rate(t) = initial                                       for t < after
        rate(t) = initial * rate^(1 + floor((t - after) / every))  for t >= after

    t counts the updates of the weights, from 0; with `every` 0 the rate falls once. Torabi and
    Sigal (section 4.1) hold it for 2,512 updates, then lower it by a fixed ratio every 125; Yan et
    al. (section 3.2) divide it by 10 after 10,000.

    Args:
        initial: Rate at the start, above 0.
        after: Updates at that rate, at least 0.
        rate: What the rate is multiplied with, above 0.
        every: Updates from one fall to the next, at least 0.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(self, initial, after, rate, every=0):
        super().__init__()
        for name, value in (("initial", initial), ("rate", rate)):
            if not value > 0:
                raise ValueError(f"`{name}` must be above 0; received {value!r}.")
        for name, value in (("after", after), ("every", every)):
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"`{name}` must be an integer of at least 0; received {value!r}.")
        self.initial = initial
        self.after = after
        self.rate = rate
        self.every = every

    def __call__(self, step):
        past = ops.cast(step, "int32") - self.after
        falls = 1 if self.every == 0 else 1 + past // self.every
        falls = ops.where(past < 0, 0, falls)
        return self.initial * ops.power(ops.cast(self.rate, "float32"), ops.cast(falls, "float32"))

    def get_config(self):
        return {
            "initial": self.initial,
            "after": self.after,
            "rate": self.rate,
            "every": self.every,
        }
