"""Adam as the released code of Sharma et al., 2015, has it.

kracwarlock/action-recognition-visual-attention, as in Xu et al.'s kelvinxu/arctic-captions.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="glimpse")
class ReferenceAdam(keras.optimizers.Optimizer):
    """Adam with the mistaken bias correction of the released code.

    For the gradient g of the weight p at update t = 1, 2, ...:

        m = b1 m + (1 - b1) g
        v = b2 v + (1 - b2) g^2
        p = p - a sqrt(1 - (1 - b2)^t) / (1 - (1 - b1)^t) m / (sqrt(v) + e)

    b1 is `beta_1`, b2 `beta_2`, e `epsilon` and a `learning_rate`. Adam has b^t where this has
    (1 - b)^t: the code writes 0.1 and 0.001 for 1 - b1 and 1 - b2, and takes the powers of those.
    So m and v, which begin at 0, are as good as never corrected: under a steady gradient the first
    steps are 3.5 times as long as Adam's, the tenth 6.5 times, the thousandth 1.3 times.

    Args:
        learning_rate: A number or a schedule. The released code has 0.0002 whatever the user sets.
        beta_1: Decay of m.
        beta_2: Decay of v.
        epsilon: Added to the root of v.
        **kwargs: As in `keras.optimizers.Optimizer`.
    """

    def __init__(
        self,
        learning_rate=0.0002,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        name="reference_adam",
        **kwargs,
    ):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        for argument, value in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 < value < 1:
                raise ValueError(f"`{argument}` must be in (0, 1); received {value!r}.")
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )

    def update_step(self, gradient, variable, learning_rate):
        gradient = ops.cast(gradient, variable.dtype)
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index], self._velocities[index]
        update = ops.cast(self.iterations + 1, variable.dtype)
        # One minus the betas, not the betas: the mistake that this class is for.
        first, second = (
            1 - ops.power(ops.cast(1 - beta, variable.dtype), update)
            for beta in (self.beta_1, self.beta_2)
        )
        rate = ops.cast(learning_rate, variable.dtype) * ops.sqrt(second) / first
        self.assign_add(momentum, (gradient - momentum) * (1 - self.beta_1))
        self.assign_add(velocity, (ops.square(gradient) - velocity) * (1 - self.beta_2))
        self.assign_sub(variable, rate * momentum / (ops.sqrt(velocity) + self.epsilon))

    def get_config(self):
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
