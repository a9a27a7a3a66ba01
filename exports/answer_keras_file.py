"""Asks a `.keras` file for its answers in a fresh process: the other half of the parity gate.

    python -m glimpse.exports.answer_keras_file model.keras INPUTS.npz OUTPUTS.npz

INPUTS holds the model's arguments by name; OUTPUTS gets every output by name.
"""

import sys

import keras
import numpy as np

import glimpse  # noqa: F401  (registers the classes that the file names)


def main():
    keras_path, inputs_path, outputs_path = sys.argv[1:]
    model = keras.saving.load_model(keras_path, compile=False, safe_mode=True)
    with np.load(inputs_path, allow_pickle=False) as arrays:
        outputs = model(**arrays, training=False)
    with open(outputs_path, "wb") as file:
        # float64, since NumPy files cannot hold bfloat16.
        np.savez(file, **{name: keras.ops.cast(v, "float64") for name, v in outputs.items()})


if __name__ == "__main__":
    main()
