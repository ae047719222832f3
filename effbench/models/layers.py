"""Layers that take the place of the package's own where a whole network trains."""

from __future__ import annotations

from collections.abc import Callable

from effbench.hardware.tensorflow_setup import keras, tf


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


@tf.function(jit_compile=True, autograph=False)
def _swish_gradient(x: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    # Of bfloat16, XLA rounds after every operation, which takes three times as long as all of them
    # in float32 with one rounding at the end, and is less exact.
    wide, upstream = (tf.cast(array, tf.float32) for array in (x, upstream))
    share = tf.sigmoid(wide)
    return tf.cast(upstream * share * (1 + wide * (1 - share)), x.dtype)


class Swish(keras.layers.Layer):
    """`swish` as a layer: copies of a network, one for each replica, have it too."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """A tensor of any shape to one of the same shape."""
        return swish(inputs)


class Pointwise(keras.layers.Conv2D):
    """A convolution of single pixels, in training a product of matrices.

    A step of B0 on a CPU takes 3 to 7 % less time this way. In inference TensorFlow makes one
    kernel of a convolution and the BatchNorm that follows it.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """[n, h, w, c] to [n, h, w, filters]."""
        if not training:
            return super().call(inputs)
        products = tf.tensordot(inputs, tf.reshape(self.kernel, (-1, self.filters)), 1)
        return self.activation(tf.nn.bias_add(products, self.bias) if self.use_bias else products)


class Depthwise(keras.layers.DepthwiseConv2D):
    """A depthwise convolution whose gradients, in bfloat16, are computed in float32 on a CPU.

    The bfloat16 kernels of these gradients take four times as long for the inputs, and twice for
    the filters: a quarter of a step of B0. That of the convolution itself is the faster one.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """[n, h, w, c] to [n, h, w, c * depth_multiplier]."""
        if not training or inputs.dtype != tf.bfloat16:
            return super().call(inputs)
        strides, padding = (1, *self.strides, 1), self.padding.upper()

        @tf.custom_gradient
        def convolved(
            x: tf.Tensor, kernel: tf.Tensor
        ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
            def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                wide, filters, upstream = (
                    tf.cast(array, tf.float32) for array in (x, kernel, upstream)
                )
                of_x = tf.nn.depthwise_conv2d_backprop_input(
                    tf.shape(x), filters, upstream, strides, padding
                )
                of_kernel = tf.nn.depthwise_conv2d_backprop_filter(
                    wide, kernel.shape, upstream, strides, padding
                )
                return tf.cast(of_x, x.dtype), tf.cast(of_kernel, kernel.dtype)

            return tf.nn.depthwise_conv2d(x, kernel, strides, padding), gradients

        maps = convolved(inputs, tf.convert_to_tensor(self.depthwise_kernel))
        return self.activation(tf.nn.bias_add(maps, self.bias) if self.use_bias else maps)
