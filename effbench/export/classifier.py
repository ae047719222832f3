"""One Keras model from images to probabilities, with all that lies between inside."""

from __future__ import annotations

from effbench.config.variants import VARIANTS
from effbench.data import datasets
from effbench.export.load import Network
from effbench.hardware.tensorflow_setup import keras
from effbench.models import backbone, preprocessing
from effbench.models.photo_square import square


def build(network: Network) -> keras.Model:
    """A classifier of Keras's own layers, so that it can be loaded without effbench.

    It computes in float32, and its stochastic depth, which does nothing in inference, is gone.

    Args:
        network: the network whose weights are copied.

    Returns:
        A model from uint8 [n, h, w, 3], RGB of any size, to float32 [n, classes].
    """
    spec = network.spec
    model = backbone.build(VARIANTS[spec.variant], spec.image_size, "float32")
    backbone.set_norms(model, spec.recipe.batch_norm)
    # By name: a layer left out could move others.
    kept = {variable.name: variable for variable in network.backbone.weights}
    model.set_weights([kept[variable.name].numpy() for variable in model.weights])
    mean, std = preprocessing.PREPROCESSING[spec.preprocessing]
    head = keras.layers.Dense(len(network.bias), activation="softmax", name="scores")
    layers = (
        keras.layers.Normalization(mean=mean, variance=std**2, name="rescale"),
        model,
        keras.layers.GlobalAveragePooling2D(name="pool"),
        head,
    )
    images = keras.Input((None, None, 3), dtype="uint8", name="images")
    if datasets.of_photos(spec.data):
        tensor = square(images, spec.image_size, spec.recipe.photo_geometry)
    else:
        tensor = keras.layers.Resizing(spec.image_size, spec.image_size, name="resize")(images)
    for layer in layers:
        tensor = layer(tensor)
    head.set_weights([network.kernel, network.bias])
    return keras.Model(images, tensor, name=spec.key)
