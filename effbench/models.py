"""Backbones: uint8 images in, features out."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable, Mapping

import numpy as np

from effbench.backend import keras, keras_efficientnet_v2, tf
from effbench.variants import Variant

# Of the random weights of a backbone: all seeds of a run share one, as they share a release.
RANDOM_WEIGHTS_SEED = 0

_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)

# Name -> (mean, std) of (x - mean) / std, for x in 0..255, RGB.
PREPROCESSING: Mapping[str, tuple[np.ndarray, np.ndarray]] = {
    "torch": (_MEAN * 255, _STD * 255),
    "tf": (np.full(3, 128, np.float32), np.full(3, 128, np.float32)),
    # keras-efficientnet-v2 1.1, December 2021: Rescaling(1/255), then Normalization(mean, variance)
    # that was given the standard deviations as variances.
    "notebook-2021": (_MEAN * 255, np.sqrt(_STD) * 255),
}

Forward = Callable[[tf.Tensor], tf.Tensor]


def build(variant: Variant, image_size: int, precision: str) -> keras.Model:
    """A frozen backbone without top, with seeded random weights.

    Args:
        variant: which network.
        image_size: side of its square input, pixels.
        precision: a Keras policy: "float32" or "mixed_bfloat16".

    Returns:
        A model from float32 [n, size, size, 3], rescaled, to a feature map.
    """
    model = _built(variant, image_size, precision)
    model.trainable = False
    return model


def _built(
    variant: Variant, image_size: int | None, precision: str, **arguments: float
) -> keras.Model:
    keras.mixed_precision.set_global_policy(precision)
    keras.utils.set_random_seed(RANDOM_WEIGHTS_SEED)
    builder = getattr(keras_efficientnet_v2, variant.builder)
    shape = (image_size, image_size, 3)
    with contextlib.redirect_stdout(io.StringIO()):  # the package prints when it loads nothing
        return builder(input_shape=shape, num_classes=0, pretrained=None, **arguments)


class StochasticDepth(keras.layers.Layer):
    """Leaves the branch of a block out for some images, in training.

    It stands where the package puts a Dropout over whole images, whose random numbers come from a
    state: those of `Noise` come from a step's seed, so that a run can be interrupted anywhere.
    """

    def __init__(self, noise: Noise, rate: float, **arguments: object) -> None:
        super().__init__(**arguments)
        self._noise = noise
        self._rate = rate

    def get_config(self) -> dict[str, object]:
        """The arguments; enough to clone a model, not to save one."""
        return super().get_config() | {"noise": self._noise, "rate": self._rate}

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """[n, h, w, c] to the same; what is kept is scaled up, so that the mean stays."""
        if not training:
            return inputs
        keep = self._noise.keep(self.name, self._rate)
        return inputs * tf.cast(keep / (1 - self._rate), inputs.dtype)[:, None, None, None]


class Noise:
    """Where a network's stochastic depth gets its random numbers: set before it is called."""

    def __init__(self) -> None:
        self.keep: Callable[[str, float], tf.Tensor]
        """From a layer's name and rate to float32 [n], 1 where the branch is kept, else 0."""


@tf.custom_gradient
def swish(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """The activation x * sigmoid(x); its gradient is one pass over memory on a CPU, not six."""
    return tf.nn.silu(x), lambda upstream: _swish_gradient(x, upstream)


@tf.function(jit_compile=True)
def _swish_gradient(x: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    share = tf.sigmoid(x)
    return upstream * share * (1 + x * (1 - share))


class Swish(keras.layers.Layer):
    """`swish` as a layer: copies of a network, one for each replica, have it too."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Of any shape."""
        return swish(inputs)


class Pointwise(keras.layers.Conv2D):
    """A convolution of single pixels, in training a product of matrices.

    On a CPU a step of B0 takes 3 to 7 % less time so. In inference TensorFlow makes one kernel of a
    convolution and the BatchNorm that follows it.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """[n, h, w, c] to [n, h, w, filters]."""
        if not training:
            return super().call(inputs)
        products = tf.tensordot(inputs, tf.reshape(self.kernel, (-1, self.filters)), 1)
        return self.activation(tf.nn.bias_add(products, self.bias) if self.use_bias else products)


def trainable(
    variant: Variant, precision: str, survival: float, device: str = "cpu"
) -> tuple[keras.Model, Noise]:
    """A backbone without top whose every layer trains, for images of any size.

    Args:
        variant: which network.
        precision: a Keras policy: "float32" or "mixed_bfloat16".
        survival: of the last block's branch, in stochastic depth.
        device: kind of the one it is to train on.

    Returns:
        A model from float32 [n, size, size, 3], rescaled, to a feature map; and its noise.
    """
    noise = Noise()
    model = _built(variant, None, precision, drop_connect_rate=1 - survival)

    def own(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, keras.layers.Dropout):
            return StochasticDepth(noise, layer.rate, name=layer.name)
        config = layer.get_config()
        if config.get("activation") in ("swish", "silu"):
            return Swish(name=layer.name)
        convolution = type(layer) is keras.layers.Conv2D
        if device == "cpu" and convolution and layer.kernel_size == layer.strides == (1, 1):
            return Pointwise.from_config(config)
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=own), noise


def randomize(model: keras.Model, seed: int) -> None:
    """Gives every kernel its own random values, by the package's rule.

    The package has one initializer for all kernels, which gives equal values to those of equal
    shape.
    """
    for place, variable in enumerate(model.trainable_variables):
        if variable.shape.rank == 4:
            own = (seed * 10_007 + place) % 2**31
            drawn = keras.initializers.VarianceScaling(2.0, "fan_out", "truncated_normal", own)
            variable.assign(drawn(variable.shape))


def calibrate(model: keras.Model, image_size: int, preprocessing: str, images: np.ndarray) -> None:
    """Gives a random backbone the BatchNorm statistics of some images.

    A fresh network's statistics (mean 0, variance 1) normalize nothing in inference mode, and the
    features of the deeper variants overflow float32.

    Args:
        model: what `build` returned; changed in place.
        image_size: the images are resized to it.
        preprocessing: a row of `PREPROCESSING`.
        images: uint8 [n, h, w, 3], a few.
    """
    model.trainable = True
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(prepare(tf.constant(images), image_size, preprocessing), training=True)
    model.trainable = False


def prepare(
    images: tf.Tensor, image_size: int, preprocessing: str, device: str = "cpu"
) -> tf.Tensor:
    """Resized bilinearly, as in the case study, and rescaled.

    Args:
        images: uint8 or float32 [n, h, w, 3], 0..255; the shape is static.
        image_size: side, pixels.
        preprocessing: a row of `PREPROCESSING`.
        device: kind; a TPU resizes by products of matrices.

    Returns:
        float32 [n, size, size, 3].
    """
    mean, std = PREPROCESSING[preprocessing]
    return (_RESIZE[device](tf.cast(images, tf.float32), image_size) - mean) / std


def _resize(images: tf.Tensor, image_size: int) -> tf.Tensor:
    return tf.image.resize(images, (image_size, image_size))


def _resize_by_products(images: tf.Tensor, image_size: int) -> tf.Tensor:
    """The same numbers but for rounding.

    TensorFlow's own op becomes a gather of nine pixels for each: in the plan of B0 at 224 on a v3
    that is three quarters of the step and eight times the memory, and XL does not fit a v2.
    """
    rows, columns = (_bilinear(side, image_size) for side in images.shape[1:3])
    return tf.einsum("nhwc,yh,xw->nyxc", images, rows, columns)


def _bilinear(source: int, size: int) -> np.ndarray:
    """Weights float32 [size, source] of each pixel in each resized one."""
    centre = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
    distance = np.abs(centre[:, None] - np.arange(source))
    return np.maximum(0, 1 - distance).astype(np.float32)


_RESIZE: Mapping[str, Callable[[tf.Tensor, int], tf.Tensor]] = {
    "cpu": _resize,
    "gpu": _resize,
    "tpu": _resize_by_products,
}


def forward(
    model: keras.Model,
    image_size: int,
    preprocessing: str,
    batch_size: int,
    towers: int,
    device: str = "cpu",
) -> Forward:
    """The function from a batch of images to features, to be called in a `tf.function`.

    Args:
        model: what `build` returned.
        image_size: the images are resized to it, bilinearly, as in the case study.
        preprocessing: a row of `PREPROCESSING`.
        batch_size: of every call.
        towers: parts of a batch that run beside each other, for a CPU whose kernels use one
            thread each; more than divide the batch are left out.
        device: kind, for `prepare`.

    Returns:
        uint8 [batch_size, h, w, 3] -> float32 [batch_size, width], global average pooled.
    """
    towers = math.gcd(batch_size, towers)

    def tower(images: tf.Tensor) -> tf.Tensor:
        maps = model(prepare(images, image_size, preprocessing, device), training=False)
        return tf.reduce_mean(tf.cast(maps, tf.float32), axis=(1, 2))

    def run(images: tf.Tensor) -> tf.Tensor:
        # Not `ensure_shape`: for XLA it makes the shape a dynamic one.
        images = tf.reshape(images, (batch_size, *images.shape[1:]))
        return tf.concat([tower(part) for part in tf.split(images, towers)], axis=0)

    return run
