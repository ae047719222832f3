"""A run's classifier: all that lies between images and probabilities, and Keras 2's model of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from effbench.config.geometry import Geometry
from effbench.config.variants import VARIANTS
from effbench.data import datasets
from effbench.data.inspecting.listing import a_line
from effbench.errors import DataError
from effbench.export.load import Network
from effbench.hardware.tensorflow_setup import keras
from effbench.models import backbone, preprocessing
from effbench.models.photo_square import square


@dataclass(frozen=True)
class Classifier:
    """The parts of which every format makes its model.

    Attributes:
        title: what models are named.
        names: those of the classes, in their order.
        size: height and width of what the backbone takes, pixels.
        geometry: how photos of any shape become a square; None for datasets whose images are
            enlarged by TensorFlow's own resizing.
        mean: float32 [3], of channels from 0 to 255.
        std: float32 [3], likewise.
        backbone: of Keras 2's own layers, float32; from [n, size, size, 3], rescaled, to a map.
        kernel: float32 [width, classes].
        bias: float32 [classes].

    Raises:
        DataError: a file of labels, a line each, could not tell the names apart.
    """

    title: str
    names: tuple[str, ...]
    size: int
    geometry: Geometry | None
    mean: np.ndarray
    std: np.ndarray
    backbone: keras.Model
    kernel: np.ndarray
    bias: np.ndarray

    def __post_init__(self) -> None:
        bad = [name for name in self.names if self.names.count(name) > 1 or not a_line(name)]
        if bad:
            raise DataError(
                "names of classes must differ, and each be a line of words",
                f"{bad[0]!r}",
                "rename that class in the data, and train again",
            )

    @cached_property
    def model(self) -> keras.Model:
        """Keras 2's, from uint8 [n, h, w, 3], RGB of any size, to float32 [n, classes]."""
        head = keras.layers.Dense(len(self.bias), activation="softmax", name="scores")
        layers = (
            keras.layers.Normalization(mean=self.mean, variance=self.std**2, name="rescale"),
            self.backbone,
            keras.layers.GlobalAveragePooling2D(name="pool"),
            head,
        )
        images = keras.Input((None, None, 3), dtype="uint8", name="images")
        if self.geometry:
            tensor = square(images, self.size, self.geometry)
        else:
            tensor = keras.layers.Resizing(self.size, self.size, name="resize")(images)
        for layer in layers:
            tensor = layer(tensor)
        head.set_weights([self.kernel, self.bias])
        return keras.Model(images, tensor, name=self.title)


def build(network: Network, names: tuple[str, ...]) -> Classifier:
    """The classifier of a run, of Keras's own layers, so that it can be loaded without effbench.

    It computes in float32, and its stochastic depth, which does nothing in inference, is gone.

    Args:
        network: the network whose weights are copied.
        names: those of the classes.
    """
    spec = network.spec
    keras.backend.reset_uids()  # names of layers are counted: the same run has the same
    model = backbone.build(VARIANTS[spec.variant], spec.image_size, "float32")
    backbone.set_norms(model, spec.recipe.batch_norm)
    # By name: a layer left out could move others.
    kept = {variable.name: variable for variable in network.backbone.weights}
    model.set_weights([kept[variable.name].numpy() for variable in model.weights])
    geometry = spec.recipe.photo_geometry if datasets.of_photos(spec.data) else None
    mean, std = preprocessing.PREPROCESSING[spec.preprocessing]
    return Classifier(
        *(spec.key, names, spec.image_size, geometry, mean, std),
        *(model, network.kernel, network.bias),
    )
