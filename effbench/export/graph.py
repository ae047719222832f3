"""A classifier as one function of TensorFlow's, which other tools convert."""

from __future__ import annotations

from effbench.export.classifier import Classifier
from effbench.hardware.tensorflow_setup import tf
from effbench.models.photo_square import square


def function(
    classifier: Classifier, shape: tuple[int | None, ...]
) -> tuple[tf.types.experimental.GenericFunction, tf.TensorSpec]:
    """The function from `images` to `scores`, and uint8 images of this shape to trace it by.

    All numbers but those of the backbone are constants of the graph: what Keras's model of the
    whole holds outside of it, converters take for further inputs.
    """
    size = classifier.size

    def classify(images: tf.Tensor) -> dict[str, tf.Tensor]:
        if shape[1:3] == (size, size):
            tensor = tf.cast(images, tf.float32)
        elif classifier.geometry:
            tensor = square(images, size, classifier.geometry)
        else:
            tensor = tf.image.resize(tf.cast(images, tf.float32), (size, size))
        with tf.name_scope("rescaling"):
            rescaled = (tensor - classifier.mean) / classifier.std
        maps = classifier.backbone(rescaled, training=False)
        with tf.name_scope("classifier"):
            features = tf.reduce_mean(maps, axis=(1, 2))
            logits = tf.matmul(features, classifier.kernel) + classifier.bias
            return {"scores": tf.nn.softmax(logits)}

    return tf.function(classify, autograph=False), tf.TensorSpec(shape, tf.uint8, "images")
