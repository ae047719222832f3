"""Backbones give what the package's own models give, whatever the batch is split into."""

from functools import cache

import numpy as np
import pytest
from support import shallow

from effbench.config.batch_norm import BatchNorm
from effbench.config.recipes import RECIPES
from effbench.config.variants import VARIANTS
from effbench.hardware import tensorflow_setup
from effbench.models import backbone
from effbench.models import layers as network_layers
from effbench.models import preprocessing as preparation

keras, tf = tensorflow_setup.keras, tensorflow_setup.tf

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)


@pytest.fixture(autouse=True)
def float32():
    """`build` sets Keras's global policy; no other test may inherit it."""
    yield
    keras.mixed_precision.set_global_policy("float32")


def calibrated(name: str, size: int, preprocessing: str, precision: str = "float32"):
    model = backbone.build(VARIANTS[name], size, precision)
    backbone.calibrate(model, size, preprocessing, IMAGES)
    return model


@pytest.fixture(scope="module")
def fresh() -> tuple[keras.Model, list[np.ndarray]]:
    """B0 as it is built, and the weights that it has then."""
    tf.random.uniform((3,))  # whatever was drawn before
    model = backbone.build(VARIANTS["B0"], 32, "float32")
    return model, model.get_weights()


@pytest.fixture(scope="module")
def built_again(fresh) -> tuple[keras.Model, list[np.ndarray]]:
    """The same once more, for images of another size."""
    np.random.default_rng().normal(size=3)
    tf.random.uniform((5,))
    model = backbone.build(VARIANTS["B0"], 64, "float32")
    return model, model.get_weights()


@pytest.fixture(scope="module")
def b0(built_again) -> keras.Model:
    model, _ = built_again
    backbone.calibrate(model, 64, "torch", IMAGES)
    return model


def run(model, size: int, preprocessing: str, towers: int = 1, images=IMAGES) -> np.ndarray:
    forward = backbone.forward(model, size, preprocessing, len(images), towers)
    return forward(tf.constant(images)).numpy()


def camera(size: int):
    """A model that hands on every value of its input as a feature."""
    inputs = keras.Input((size, size, 3))
    return keras.Model(inputs, keras.layers.Reshape((1, 1, size * size * 3))(inputs))


@pytest.mark.parametrize(("name", "mode"), [("B0", "torch"), ("S", "tf"), ("V1-B0", "torch")])
def test_features_are_those_of_the_packages_own_preprocessing(name, mode, monkeypatch):
    variant = VARIANTS[name]
    shallow.at_most(monkeypatch, name, 2)
    assert variant.rescale == mode
    ours = calibrated(name, 64, mode)
    import keras_efficientnet_v2

    theirs = getattr(keras_efficientnet_v2, variant.builder)(
        input_shape=(64, 64, 3), num_classes=0, pretrained=None, include_preprocessing=True
    )
    theirs.set_weights(ours.get_weights())
    resized = keras.layers.Resizing(64, 64)(tf.cast(IMAGES, tf.float32))
    expected = keras.layers.GlobalAveragePooling2D()(theirs(resized, training=False)).numpy()
    found = run(ours, 64, mode)
    assert found.dtype == np.float32
    assert found.shape == (len(IMAGES), variant.width)
    assert np.abs(expected).mean() > 1e-2
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    # The other preprocessing is not the same thing, so the comparison can tell them apart.
    other = run(ours, 64, "tf" if mode == "torch" else "torch")
    assert np.abs(other - expected).max() > 1e-2


def package_layers(mode: str):
    layers = keras.layers
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    if mode == "tf":
        return layers.Rescaling(1 / 128, offset=-1)
    if mode == "torch":
        return layers.Normalization(mean=mean * 255, variance=(std * 255) ** 2)
    return keras.Sequential(
        [layers.Rescaling(1 / 255), layers.Normalization(mean=mean, variance=std)]
    )


@pytest.mark.parametrize("mode", ["torch", "tf", "notebook-2021"])
def test_every_value_of_a_pixel_is_rescaled_as_the_layers_of_keras_do(mode):
    values = np.arange(256, dtype=np.uint8)
    pixels = np.stack([values, np.roll(values, 85), values[::-1]], axis=1).reshape(256, 1, 1, 3)
    found = run(camera(1), 1, mode, images=pixels)
    expected = package_layers(mode)(tf.cast(pixels, tf.float32)).numpy().reshape(256, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_notebook_of_2021_halved_the_contrast():
    white = np.full((1, 1, 1, 3), 255, np.uint8)
    then, now = (run(camera(1), 1, mode, images=white) for mode in ("notebook-2021", "torch"))
    np.testing.assert_allclose(then / now, np.sqrt([[0.229, 0.224, 0.225]]), rtol=1e-5)


@pytest.mark.parametrize("size", [32, 20, 47, 64])
def test_resize_is_keras_bilinear_resizing(size):
    found = run(camera(size), size, "tf")
    resized = keras.layers.Resizing(size, size, interpolation="bilinear")(
        tf.cast(IMAGES, tf.float32)
    )
    expected = resized.numpy().reshape(len(IMAGES), -1) / 128 - 1
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("towers", [2, 3, 8, 12])
def test_towers_do_not_change_the_result(b0, towers):
    expected = run(b0, 64, "torch", 1)
    np.testing.assert_allclose(run(b0, 64, "torch", towers), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected[0] - expected[1]).max() > 1e-2  # so that a swap would show


def test_a_graph_with_towers_gives_the_same(b0):
    graph = tf.function(backbone.forward(b0, 64, "torch", len(IMAGES), 2))
    found = graph(tf.constant(IMAGES)).numpy()
    np.testing.assert_allclose(found, run(b0, 64, "torch"), rtol=1e-4, atol=1e-5)


def test_an_image_does_not_depend_on_its_company(b0):
    whole = run(b0, 64, "torch")
    alone = run(b0, 64, "torch", images=IMAGES[3:4])
    np.testing.assert_allclose(alone[0], whole[3], rtol=1e-4, atol=1e-5)


def test_bfloat16_gives_float32_features_close_to_those_of_float32(b0):
    reduced = backbone.build(VARIANTS["B0"], 64, "mixed_bfloat16")
    assert reduced.layers[1].compute_dtype == "bfloat16"
    assert all(weight.dtype == tf.float32 for weight in reduced.weights)
    reduced.set_weights(b0.get_weights())
    expected, found = run(b0, 64, "torch"), run(reduced, 64, "torch")
    assert found.dtype == np.float32
    assert not np.array_equal(found, expected)
    # 8 bits of mantissa through some 270 layers of random weights.
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.96
    assert np.abs(found - expected).mean() < 0.25 * np.abs(expected).mean()


def test_random_weights_are_the_same_each_time(fresh, built_again):
    first, second = fresh[1], built_again[1]
    assert len(first) == len(second) > 100
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    kernels = [each for each in first if each.ndim == 4]
    assert all(each.std() > 0 for each in kernels)


def test_a_backbone_is_frozen_and_has_no_top(fresh):
    variant, model = VARIANTS["B0"], fresh[0]
    assert model.trainable_weights == []
    assert not any(layer.trainable for layer in model.layers if layer.weights)
    assert model.count_params() == variant.parameters
    assert model.output_shape[-1] == variant.width
    assert not any("predictions" in weight.name for weight in model.weights)


def test_the_numbers_of_batch_norm_are_a_recipes_or_the_networks_own(monkeypatch):
    shallow.at_most(monkeypatch, "V1-B0", 1)
    own, asked = (RECIPES[name].batch_norm for name in ("finetune", "composer"))
    model, _ = backbone.trainable(VARIANTS["V1-B0"], "float32", 0.8, batch_norm=own)

    def numbers() -> set[tuple[float, float]]:
        kind = keras.layers.BatchNormalization
        norms = [layer for layer in model.layers if isinstance(layer, kind)]
        return {(norm.momentum, norm.epsilon) for norm in norms}

    assert numbers() == {(0.9, 1e-3)}
    # They are what it computes with.
    images = tf.random.stateless_normal((1, 32, 32, 3), (1, 2))
    before = model(images, training=False).numpy()
    backbone.set_norms(model, asked)
    assert numbers() == {(0.9, 1e-5)}
    backbone.set_norms(model, BatchNorm(epsilon=3.0))  # halves what comes out of each of many
    assert np.abs(model(images, training=False)).max() < 0.1 * np.abs(before).max()


@pytest.mark.parametrize(("name", "size"), [("T", 64), ("M", 64)])
def test_calibrated_features_are_finite_and_of_ordinary_size(name, size):
    mode = VARIANTS[name].rescale
    model = backbone.build(VARIANTS[name], size, "float32")
    raw = run(model, size, mode)
    backbone.calibrate(model, size, mode, IMAGES)
    assert model.trainable_weights == []
    assert not any(layer.trainable for layer in model.layers if layer.weights)
    assert model.count_params() == VARIANTS[name].parameters
    before = model.get_weights()
    found = run(model, size, mode)
    assert np.isfinite(found).all()
    assert 0.01 < found.std() < 10
    assert np.abs(found).max() < 100
    assert np.abs(found[0] - found[1]).max() > 1e-3
    # Without it they would be neither.
    assert not np.isfinite(raw).all() or not 0.01 < raw.std() < 10
    # Features are those of inference: looking does not change the statistics.
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_forward_pass_leaves_the_statistics_alone(b0):
    before = b0.get_weights()
    run(b0, 64, "torch", 2)
    assert all(np.array_equal(a, b) for a, b in zip(before, b0.get_weights(), strict=True))


@pytest.mark.parametrize("size", [32, 96, 224, 33, 20])
def test_a_tpu_resizes_to_the_same_but_for_rounding(size):
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 28, 3), np.uint8)
    plain, products = (preparation.prepare(images, size, "torch", kind) for kind in ("cpu", "tpu"))
    assert products.shape == (3, size, size, 3)
    np.testing.assert_allclose(products, plain, atol=5e-5)


def test_a_tpu_leaves_images_of_the_right_size_as_they_are():
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), np.uint8)
    plain, products = (preparation.prepare(images, 40, "tf", kind) for kind in ("cpu", "tpu"))
    np.testing.assert_array_equal(products, plain)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_swish_and_its_gradient_are_those_of_tensorflow(dtype):
    values = tf.cast(np.linspace(-12, 12, 201), dtype)
    upstream = tf.cast(np.random.default_rng(0).normal(size=201), dtype)
    found = []
    for function in (network_layers.swish, tf.nn.silu):
        with tf.GradientTape() as tape:
            tape.watch(values)
            result = function(values)
        gradient = tape.gradient(result, values, upstream)
        assert gradient.dtype == result.dtype == dtype
        found.append([tf.cast(each, "float32").numpy() for each in (result, gradient)])
    np.testing.assert_array_equal(found[0][0], found[1][0])
    rounding = {"float32": 1e-6, "bfloat16": 0.03}[dtype]
    np.testing.assert_allclose(found[0][1], found[1][1], atol=rounding)


def test_the_gradient_of_swish_in_bfloat16_is_float32s_rounded_once():
    values = tf.cast(np.linspace(-12, 12, 201), "bfloat16")
    upstream = tf.cast(np.random.default_rng(0).normal(size=201), "bfloat16")
    gradients = {}
    for dtype in ("bfloat16", "float32"):
        with tf.GradientTape() as tape:
            x = tf.cast(values, dtype)
            tape.watch(x)
            result = network_layers.swish(x)
        gradients[dtype] = tape.gradient(result, x, tf.cast(upstream, dtype))
    np.testing.assert_array_equal(gradients["bfloat16"], tf.cast(gradients["float32"], "bfloat16"))


def depthwise(kind, policy, strides, padding, bias):
    """What a layer makes of some images, and its gradients for images and kernel, in float32."""
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(2, 9, 8, 6)), [rng.normal(size=(3, 3, 6, 1)), np.ones(6)]
    dtype = keras.mixed_precision.Policy(policy)
    layer = kind(3, strides, padding, use_bias=bias, dtype=dtype)
    layer.build(values.shape)
    # Numbers that bfloat16 has.
    layer.set_weights([tf.cast(each, "bfloat16") for each in weights[: 1 + bias]])
    images = tf.cast(tf.cast(values, "bfloat16"), layer.compute_dtype)
    training = {"training": True} if kind is network_layers.Depthwise else {}
    with tf.GradientTape() as tape:
        tape.watch(images)
        maps = layer(images, **training)
    gradients = tape.gradient(maps, [images, layer.depthwise_kernel], tf.ones_like(maps))
    assert gradients[0].dtype == maps.dtype == layer.compute_dtype
    return [tf.cast(array, "float32") for array in (maps, *gradients)]


@pytest.mark.parametrize("geometry", [(1, "same", False), (2, "valid", True)])
def test_a_depthwise_convolution_in_float32_is_kerass(geometry):
    ours, expected = (
        depthwise(kind, "float32", *geometry)
        for kind in (network_layers.Depthwise, keras.layers.DepthwiseConv2D)
    )
    for array, other in zip(ours, expected, strict=True):
        np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize("geometry", [(1, "same", False), (2, "valid", True)])
def test_gradients_of_a_depthwise_convolution_in_bfloat16_are_float32s_rounded_once(geometry):
    maps, *gradients = depthwise(network_layers.Depthwise, "mixed_bfloat16", *geometry)
    keras_maps, *_ = depthwise(keras.layers.DepthwiseConv2D, "mixed_bfloat16", *geometry)
    np.testing.assert_array_equal(maps, keras_maps)
    _, *exact = depthwise(keras.layers.DepthwiseConv2D, "float32", *geometry)
    for gradient, other in zip(gradients, exact, strict=True):
        np.testing.assert_array_equal(gradient, tf.cast(tf.cast(other, "bfloat16"), "float32"))


@pytest.mark.parametrize("bias", [False, True])
def test_a_convolution_of_single_pixels_is_a_product_of_matrices(bias):
    keras.mixed_precision.set_global_policy("float32")
    rng = np.random.default_rng(0)
    images, upstream = (tf.constant(rng.normal(size=(2, 5, 4, n)), tf.float32) for n in (6, 3))
    layers = [kind(3, 1, use_bias=bias) for kind in (network_layers.Pointwise, keras.layers.Conv2D)]
    weights = [rng.normal(size=shape) for shape in [(1, 1, 6, 3), (3,)][: 1 + bias]]
    found = []
    for layer in layers:
        layer.build(images.shape)
        layer.set_weights(weights)
        with tf.GradientTape() as tape:
            tape.watch(images)
            own = {"training": True} if isinstance(layer, network_layers.Pointwise) else {}
            result = layer(images, **own)
        found.append([result, *tape.gradient(result, [images, *layer.weights], upstream)])
    for product, convolution in zip(*found, strict=True):
        np.testing.assert_allclose(product, convolution, atol=1e-5)


@cache
def trainable(device: str) -> keras.Model:
    """B0 as it trains on a device; its weights are whatever a test gave it."""
    return backbone.trainable(VARIANTS["B0"], "float32", 0.8, device)[0]


@pytest.mark.parametrize("device", ["cpu", "gpu", "tpu"])
def test_only_a_cpu_trains_with_products_of_matrices(device, monkeypatch):
    if device != "cpu":
        shallow.networks(monkeypatch)
    model = trainable(device)
    convolutions = [each for each in model.layers if type(each) is keras.layers.Conv2D]
    products = [each for each in model.layers if isinstance(each, network_layers.Pointwise)]
    single = [each for each in convolutions if each.kernel_size == (1, 1)]
    assert (len(products) > 50 and not single) if device == "cpu" else (single and not products)


def test_a_network_that_trains_has_the_backbones_outputs_and_our_swish(b0):
    model = trainable("cpu")
    # What its replicas get is such a copy.
    for each in (model, keras.models.clone_model(model)):
        kinds = [type(layer) for layer in each.layers]
        assert kinds.count(network_layers.Swish) > 40
        own = {network_layers.StochasticDepth, network_layers.Pointwise, network_layers.Depthwise}
        assert own < set(kinds)
        left = [layer for layer in each.layers if isinstance(layer, keras.layers.Activation)]
        assert all(layer.activation is keras.activations.sigmoid for layer in left)
    model.set_weights(b0.get_weights())
    images = preparation.prepare(tf.constant(IMAGES), 64, "torch")
    np.testing.assert_array_equal(model(images, training=False), b0(images, training=False))
