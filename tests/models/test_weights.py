"""Weights: what is loaded is what the file holds, and nothing goes on without them."""

import hashlib
import os
import shutil
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.options import sweep_options
from support.records import h5_file

from effbench import cache, progress
from effbench.config import variants
from effbench.config.run_spec import WeightsId
from effbench.config.variants import VARIANTS
from effbench.data.named import download
from effbench.errors import UsageError, WeightsError
from effbench.hardware import tensorflow_setup
from effbench.models import backbone, weights
from effbench.models.weights import WeightsSource

# To be refused does not depend on the depth; that every tensor is loaded is asserted of all of B0.
pytestmark = pytest.mark.usefixtures("shallow_networks")

keras = tensorflow_setup.keras
B0, B1 = VARIANTS["B0"], VARIANTS["B1"]
REAL = os.environ.get("EFFBENCH_TEST_WEIGHTS", "")
RELEASE = "efficientnetv2-b0-imagenet.h5"
BLOCK = "stack_3_block0_MB_dw_/"  # a depthwise convolution, in the middle of B0


def randomized(model: keras.Model, seed: int) -> keras.Model:
    """Every tensor different from every other and from the initial ones."""
    generator = np.random.default_rng(seed)
    model.set_weights(
        [generator.normal(size=each.shape).astype(np.float32) for each in model.get_weights()]
    )
    return model


@pytest.fixture(scope="module")
def original():
    return randomized(backbone.build(B0, 32, "float32"), 1)


@pytest.fixture(scope="module")
def target_model():
    return backbone.build(B0, 32, "float32")


@pytest.fixture
def whole_b0(monkeypatch):
    package = tensorflow_setup.keras_efficientnet_v2.efficientnet_v2.BLOCK_CONFIGS["b0"]
    monkeypatch.setitem(package, "depthes", B0.config["depthes"])
    model = backbone.build(B0, 32, "float32")
    assert model.count_params() == B0.parameters
    return model


@pytest.fixture
def target(target_model):
    """Another B0, its weights far from those of the file."""
    return randomized(target_model, 2)


@pytest.fixture(scope="module")
def b1():
    return randomized(backbone.build(B1, 32, "float32"), 3)


@pytest.fixture(scope="module")
def saved(original, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "b0.h5"
    original.save_weights(str(path))
    return path


@pytest.fixture
def copy(saved, tmp_path) -> Path:
    return Path(shutil.copy(saved, tmp_path / "copy.h5"))


def same(a: keras.Model, b: keras.Model) -> bool:
    pairs = zip(a.get_weights(), b.get_weights(), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


def refused(model: keras.Model, path: Path, *words: str) -> None:
    """Loading raises one clear line, and leaves the model as it was."""
    before = model.get_weights()
    with pytest.raises(WeightsError) as caught:
        weights.load(model, path)
    line = str(caught.value)
    assert "\n" not in line
    for word in words:
        assert word in line
    assert all(np.array_equal(x, y) for x, y in zip(before, model.get_weights(), strict=True))


# --- loading -------------------------------------------------------------------------------------


def test_every_tensor_is_loaded(whole_b0, tmp_path):
    original = randomized(whole_b0, 1).get_weights()
    whole_b0.save_weights(str(tmp_path / "b0.h5"))
    target = randomized(whole_b0, 2)
    pairs = zip(original, target.get_weights(), strict=True)
    assert not any(np.array_equal(a, b) for a, b in pairs)
    assert weights.load(target, tmp_path / "b0.h5") == len(original)
    assert all(np.array_equal(a, b) for a, b in zip(original, target.get_weights(), strict=True))
    assert target.trainable_weights == []


def test_the_precision_of_the_model_does_not_change_its_tensors(original, saved):
    try:
        reduced = backbone.build(B0, 32, "mixed_bfloat16")
        assert weights.load(reduced, saved) == len(original.get_weights())
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert same(original, reduced)


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused(target, copy, keep):
    os.truncate(copy, int(copy.stat().st_size * keep))
    refused(target, copy, "not a readable Keras HDF5 file", "copy.h5")


@pytest.mark.parametrize("content", [b"<html><body>Not found</body></html>", b"", b"\x89HDF\r\n"])
def test_what_is_no_hdf5_is_refused(target, tmp_path, content):
    page = tmp_path / "page.h5"
    page.write_bytes(content)
    refused(target, page, "not a readable Keras HDF5 file", "page.h5")


def test_a_file_that_is_not_there_is_refused(target, tmp_path):
    refused(target, tmp_path / "nowhere.h5", "nowhere.h5")


def test_an_hdf5_file_of_something_else_is_refused(target, tmp_path):
    path = tmp_path / "table.h5"
    with h5py.File(path, "w") as file:
        file["numbers"] = np.arange(10)
    refused(target, path, "table.h5")


def test_a_deeper_variants_file_is_refused_although_all_of_ours_is_in_it(target, b1, tmp_path):
    path = tmp_path / "b1.h5"
    b1.save_weights(str(path))
    ours = {weight.name: weight.shape for weight in target.weights}
    theirs = {weight.name: weight.shape for weight in b1.weights}
    assert ours.items() <= theirs.items()
    refused(target, path, "b1.h5 has", "besides")


def test_a_shallower_variants_file_is_refused(b1, saved):
    refused(b1, saved, "b0.h5 lacks")


def layer_of(file: h5py.File, tensor: str) -> h5py.Group:
    return file[tensor.split("/", maxsplit=1)[0]]


def names(group: h5py.Group, what: str) -> list[bytes]:
    """The names in an attribute, which are bytes or text."""
    return [name if isinstance(name, bytes) else name.encode() for name in group.attrs[what]]


def tensor_names(file: h5py.File) -> list[str]:
    return [
        name.decode()
        for layer in names(file, "layer_names")
        for name in names(file[layer], "weight_names")
    ]


def edit(path: Path, part: str, change: Callable[[h5py.Group, str], None]) -> str:
    """Changes the first tensor with `part` in its name; returns that name."""
    with h5py.File(path, "r+") as file:
        name = next(name for name in tensor_names(file) if part in name)
        change(layer_of(file, name), name)
    return name.removesuffix(":0")


def drop(group: h5py.Group, name: str) -> None:
    del group[name]
    left = [each for each in names(group, "weight_names") if each != name.encode()]
    group.attrs["weight_names"] = left


def lose(group: h5py.Group, name: str) -> None:
    """The file says that the tensor is there, and it is not."""
    del group[name]


def put(group: h5py.Group, name: str, values: np.ndarray) -> None:
    assert values.size > 1
    del group[name]
    group[name] = values


def transpose(group: h5py.Group, name: str) -> None:
    put(group, name, np.asarray(group[name]).T)


def spoil(value: float, group: h5py.Group, name: str) -> None:
    values = np.asarray(group[name])
    values.flat[values.size // 2] = value
    put(group, name, values)


@pytest.mark.parametrize("part", ["stem_conv", BLOCK, "moving_variance", "post_bn/beta"])
def test_one_missing_tensor_is_refused(target, copy, part):
    name = edit(copy, part, drop)
    refused(target, copy, "lacks 1 tensors", name)


def test_a_tensor_that_is_named_but_not_there_is_refused(target, copy):
    edit(copy, BLOCK, lose)
    refused(target, copy, "copy.h5")


def test_a_tensor_of_another_shape_is_refused(target, copy):
    name = edit(copy, BLOCK, transpose)
    refused(target, copy, name)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", [BLOCK, "moving_variance"])
def test_a_tensor_that_is_not_finite_is_refused(target, copy, part, value):
    name = edit(copy, part, partial(spoil, value))
    refused(target, copy, "finite", name)


def test_a_tensor_more_is_refused(target, copy):
    with h5py.File(copy, "r+") as file:
        layers = [*names(file, "layer_names"), b"extra"]
        group = file.create_group("extra")
        group["extra/kernel:0"] = np.ones(3, np.float32)
        group.attrs["weight_names"] = [b"extra/kernel:0"]
        file.attrs["layer_names"] = layers
    refused(target, copy, "besides", "extra/kernel")


def with_top() -> keras.Model:
    import keras_efficientnet_v2

    return randomized(
        keras_efficientnet_v2.EfficientNetV2B0(
            input_shape=(32, 32, 3), num_classes=12, pretrained=None
        ),
        4,
    )


@pytest.mark.parametrize("whole_model", [False, True], ids=["weights", "model"])
def test_a_file_with_a_top_loads(target, tmp_path, whole_model):
    model, path = with_top(), tmp_path / "top.h5"
    assert model.layers[-1].name == "predictions"
    if whole_model:
        model.save(str(path), save_format="h5", include_optimizer=False)
    else:
        model.save_weights(str(path))
    assert weights.load(target, path) == len(target.get_weights())
    for ours, theirs in zip(target.get_weights(), model.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("order", ["reversed", "shuffled"])
def test_the_order_of_layers_in_the_file_does_not_matter(original, target, copy, order):
    with h5py.File(copy, "r+") as file:
        layers = names(file, "layer_names")
        chosen = np.random.default_rng(0).permutation(len(layers))
        mixed = layers[::-1] if order == "reversed" else [layers[place] for place in chosen]
        assert mixed != layers
        file.attrs["layer_names"] = mixed
    assert weights.load(target, copy) == len(original.get_weights())
    assert same(original, target)


def test_the_order_of_tensors_in_a_layer_never_mixes_them_up(original, target, copy):
    with h5py.File(copy, "r+") as file:
        group = file["stem_bn"]
        group.attrs["weight_names"] = names(group, "weight_names")[::-1]
    try:
        weights.load(target, copy)
    except WeightsError:
        return
    assert same(original, target)


@pytest.mark.parametrize("name", ["b0.weights.h5", "b0.hdf5", "weights.bin", "B0.H5", "b0 (1).h5"])
def test_the_name_of_a_file_does_not_matter(original, target, saved, tmp_path, name):
    path = Path(shutil.copy(saved, tmp_path / name))
    assert WeightsSource.parse(str(path), "torch").path == path
    assert weights.load(target, path) == len(original.get_weights())
    assert same(original, target)


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="EFFBENCH_TEST_WEIGHTS names no file of B0's weights")
def test_the_real_file_loads(whole_b0):
    path, target = Path(REAL), randomized(whole_b0, 2)
    assert weights.load(target, path) == len(target.get_weights())
    with h5py.File(path, "r") as file:
        layers = file.get("model_weights", file)
        for weight in target.weights:
            layer = layers[weight.name.split("/", maxsplit=1)[0]]
            np.testing.assert_array_equal(weight.numpy(), np.asarray(layer[weight.name]))
    kernel = target.get_layer("stem_conv").get_weights()[0]
    assert 0.01 < kernel.std() < 10


# --- the identity of weights ---------------------------------------------------------------------


def digests(content: bytes) -> tuple[str, str]:
    return hashlib.md5(content).hexdigest(), hashlib.sha256(content).hexdigest()


@pytest.fixture
def published(monkeypatch) -> Callable[[bytes, str], str]:
    """Makes some bytes the published release of B0 with a suffix; returns their md5."""

    def publish(content: bytes, suffix: str = "imagenet") -> str:
        table = variants._package_table("FILE_HASH_DICT")
        md5 = digests(content)[0]
        monkeypatch.setitem(table["b0"], suffix, md5)
        return md5

    return publish


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_releases_are_known_by_name_without_a_file(variant):
    for name, release in variant.releases.items():
        found = WeightsSource.parse(name, "auto").identify(variant)
        assert found == WeightsId(name, f"md5:{release.md5}", release.rescale)
        assert found.released
        assert not found.random
        assert found.rescale == ("tf" if "21k" in name else variant.rescale)


def test_auto_is_the_case_studys_choice():
    found = {
        name: WeightsSource.parse("auto", "auto").identify(row) for name, row in VARIANTS.items()
    }
    assert {name for name, row in found.items() if row.name != "imagenet"} == {"XL", "V1-L2"}
    assert found["XL"].name == "imagenet21k-ft1k"
    assert found["V1-L2"].name == "noisy_student"
    assert [found[name].rescale for name in ("B0", "B3", "T", "S", "M", "L", "XL")] == [
        *["torch"] * 3,
        *["tf"] * 4,
    ]


def test_none_is_random_weights():
    found = WeightsSource.parse("none", "auto").identify(B0)
    assert found.random
    assert not found.released
    assert found.rescale == "torch"


@pytest.mark.parametrize(("variant", "name"), [("T", "imagenet21k"), ("XL", "imagenet")])
def test_a_release_that_does_not_exist_is_refused(variant, name):
    with pytest.raises(UsageError, match=f"{variant} has no such release of weights: {name};"):
        WeightsSource.parse(name, "auto").identify(VARIANTS[variant])


@pytest.mark.parametrize("text", ["imagenet22k", "", "noisy-student", "ImageNet", "a/b/c"])
def test_unknown_weights_are_refused(text):
    with pytest.raises(UsageError, match="choose auto, imagenet, imagenet21k, "):
        WeightsSource.parse(text, "auto")


def test_a_path_that_is_not_there_is_refused():
    with pytest.raises(WeightsError, match=r"nowhere\.h5"):
        WeightsSource.parse("/nowhere.h5", "auto").identify(B0)


@pytest.mark.parametrize(
    ("suffix", "name", "rescale"),
    [
        ("imagenet", "imagenet", "torch"),
        ("21k", "imagenet21k", "tf"),
        ("21k-ft1k", "imagenet21k-ft1k", "tf"),
    ],
)
def test_a_file_with_the_md5_of_a_release_is_that_release(
    tmp_path, published, suffix, name, rescale
):
    md5 = published(b"content", suffix)
    path = tmp_path / "renamed.h5"
    path.write_bytes(b"content")
    found = WeightsSource.parse(str(path), "auto").identify(B0)
    assert found == WeightsId(name, f"md5:{md5}", rescale)
    assert found.released


@pytest.mark.parametrize(
    ("file", "name", "rescale"),
    [
        ("efficientnetv2-b0-imagenet.h5", "imagenet", "torch"),
        ("efficientnetv2-b0-imagenet-notop.h5", "imagenet", "torch"),
        ("efficientnetv2-b0-21k.h5", "imagenet21k", "tf"),
        ("efficientnetv2-b0-21k-notop.h5", "imagenet21k", "tf"),
        ("efficientnetv2-b0-21k-ft1k.h5", "imagenet21k-ft1k", "tf"),
        ("efficientnetv2-b0-21k-ft1k-notop.h5", "imagenet21k-ft1k", "tf"),
    ],
)
def test_a_name_like_a_releases_says_what_the_weights_expect(tmp_path, file, name, rescale):
    path = tmp_path / file
    path.write_bytes(b"not the release, byte for byte")
    found = WeightsSource.parse(str(path), "auto").identify(B0)
    assert found == WeightsId(name, f"sha256:{digests(path.read_bytes())[1]}", rescale)
    assert not found.released
    told = WeightsSource.parse(str(path), "tf").identify(B0)
    assert told.rescale == "tf"


@pytest.mark.parametrize(
    "file",
    ["mine.h5", "efficientnetv2-b1-imagenet.h5", "b0.h5", "my-efficientnetv2-b0-imagenet.h5"],
)
@pytest.mark.parametrize("rescale", ["torch", "tf"])
def test_a_file_of_unknown_origin_needs_rescale(tmp_path, file, rescale):
    path = tmp_path / file
    content = h5_file("whatever")
    path.write_bytes(content)
    with pytest.raises(UsageError, match="--rescale torch"):
        WeightsSource.parse(str(path), "auto").identify(B0)
    found = WeightsSource.parse(str(path), rescale).identify(B0)
    assert found == WeightsId("file", f"sha256:{digests(content)[1]}", rescale)


def test_what_is_no_file_of_weights_is_told_before_its_rescaling(tmp_path):
    path = tmp_path / "page.h5"
    path.write_bytes(b"<!DOCTYPE html>")
    with pytest.raises(WeightsError, match="not a readable Keras HDF5 file"):
        WeightsSource.parse(str(path), "auto").identify(B0)


@pytest.mark.parametrize("name", ["imagenet21k", "imagenet21k-ft1k", "imagenet22k"])
def test_a_name_that_only_begins_like_a_release_is_not_taken_for_it(tmp_path, name):
    """ImageNet-21k weights of B0 expect "tf"; the rescaling of "imagenet" would be wrong."""
    path = tmp_path / f"efficientnetv2-b0-{name}.h5"
    path.write_bytes(h5_file("whatever"))
    try:
        found = WeightsSource.parse(str(path), "auto").identify(B0)
    except UsageError:
        return
    assert (found.name, found.rescale) == (name, "tf")


# --- finding the file ----------------------------------------------------------------------------

GOOD = b"the published bytes" * 100


@pytest.fixture
def empty(tmp_path, monkeypatch, published) -> Path:
    """Empty caches, no network, and `GOOD` is B0's imagenet release."""
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("EFFBENCH_WEIGHTS_URL", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    published(GOOD)
    return tmp_path


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find(directory: Path | None = None, name: str = "imagenet") -> weights.File:
    source = WeightsSource.parse(name, "auto")
    return weights.find(source, source.identify(B0), B0, directory, progress.silent)


def not_found(*words: str, directory: Path | None = None) -> str:
    with pytest.raises(WeightsError) as caught:
        find(directory)
    line = str(caught.value)
    assert "\n" not in line
    for word in words:
        assert word in line
    return line


def put_file(folder: Path, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RELEASE
    path.write_bytes(content)
    return path


def test_weights_dir_is_searched_by_the_releases_name(empty):
    path = put_file(empty / "mine", GOOD)
    assert find(empty / "mine") == weights.File(path, digests(GOOD)[1])


def test_weights_dir_comes_before_the_caches(empty):
    put_file(cache.keras() / "models" / "efficientnetv2", GOOD)
    mine = put_file(empty / "mine", GOOD)
    assert find(empty / "mine").path == mine


def test_a_wrong_file_in_weights_dir_is_refused(empty):
    path = put_file(empty / "mine", b"something else")
    put_file(cache.downloads(), GOOD)
    line = not_found(str(path), digests(b"something else")[0], directory=empty / "mine")
    assert digests(GOOD)[0] in line
    assert path.read_bytes() == b"something else"  # it is the user's


def test_weights_dir_without_the_release_falls_back_on_the_caches(empty):
    (empty / "mine").mkdir()
    (empty / "mine" / "other.h5").write_bytes(GOOD)
    path = put_file(cache.downloads(), GOOD)
    assert find(empty / "mine").path == path


def test_keras_own_cache_is_used(empty):
    path = put_file(empty / "keras" / "models" / "efficientnetv2", GOOD)
    assert find() == weights.File(path, digests(GOOD)[1])


@pytest.mark.parametrize("place", ["keras/models/efficientnetv2", "cache/downloads"])
def test_a_wrong_file_in_a_cache_is_refused(empty, place):
    path = put_file(empty / place, b"broken")
    not_found(str(path), "md5")


def test_a_file_named_by_its_path_is_used_as_it_is(empty):
    path = empty / "efficientnetv2-b0-imagenet-notop.h5"
    path.write_bytes(b"mine")
    assert find(name=str(path)) == weights.File(path, digests(b"mine")[1])


def test_a_named_file_that_changed_since_it_was_identified_is_refused(empty):
    """Its identity is in the key of the run, so other weights would pass for these."""
    path = empty / "efficientnetv2-b0-imagenet-notop.h5"
    path.write_bytes(b"mine")
    source = WeightsSource.parse(str(path), "auto")
    identity = source.identify(B0)
    path.write_bytes(b"trained some more")
    with pytest.raises(WeightsError, match="notop"):
        weights.find(source, identity, B0, None, progress.silent)


Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def serve(empty, monkeypatch):
    """Starts a loopback server that answers in one way; returns the paths it was asked for."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Answer) -> list[str]:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                answer(self)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        monkeypatch.setenv("EFFBENCH_WEIGHTS_URL", f"http://127.0.0.1:{server.server_port}/w")
        return asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def body(content: bytes, length: int | None = None, kind: str = "application/x-hdf5") -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(content) if length is None else length))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def status(code: int) -> Answer:
    return lambda handler: handler.send_error(code)


def test_a_release_is_downloaded_checked_and_kept(serve):
    asked = serve(body(GOOD))
    steps: list[progress.Step] = []
    source = WeightsSource.parse("auto", "auto")
    found = weights.find(source, source.identify(B0), B0, None, steps.append)
    assert found == weights.File(cache.downloads() / RELEASE, digests(GOOD)[1])
    assert found.path.read_bytes() == GOOD
    assert asked == [f"/w/{RELEASE}"]
    assert steps[-1].done == steps[-1].total == len(GOOD)
    assert find() == found
    assert len(asked) == 1  # the second time it is there
    assert [path.name for path in cache.downloads().iterdir()] == [RELEASE]


FAILURES: dict[str, tuple[Answer, str]] = {
    "wrong bytes": (body(GOOD[::-1]), "another md5"),
    "an HTML page": (body(b"<html>log in</html>", kind="text/html"), "another md5"),
    "nothing": (body(b""), "another md5"),
    "cut off": (body(GOOD[:700], len(GOOD)), "cut"),
    "not found": (status(404), "404"),
    "server error": (status(500), "500"),
}


@pytest.mark.parametrize(("answer", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_bad_download_is_one_clear_line_and_leaves_nothing(serve, answer, reason):
    asked = serve(answer)
    line = not_found("cannot download http://127.0.0.1:", RELEASE, reason, "--weights-dir")
    assert "Traceback" not in line
    assert asked == [f"/w/{RELEASE}"]
    assert [path for path in cache.directory().rglob("*") if path.is_file()] == []


def test_a_server_that_falls_silent_is_given_up(serve, monkeypatch):
    monkeypatch.setattr(download, "READ_SECONDS", 0.3)
    over = threading.Event()

    def stall(handler: BaseHTTPRequestHandler) -> None:
        body(GOOD[:700], len(GOOD))(handler)
        handler.wfile.flush()
        over.wait(20)

    serve(stall)
    not_found("cannot download", "no data")
    over.set()
    assert [path for path in cache.directory().rglob("*") if path.is_file()] == []


def test_a_closed_port_is_one_clear_line_and_leaves_nothing(empty):
    not_found("cannot download", "cannot be reached", "--weights-dir")
    assert [path for path in cache.directory().rglob("*") if path.is_file()] == []


def test_weights_dir_with_a_file_of_another_name_says_what_lies_there(empty):
    mine = empty / "mine"
    mine.mkdir()
    not_found(f"; {mine} (--weights-dir) has no {RELEASE}; get the file from", directory=mine)
    (mine / "efficientnetv2-b0-imagenet-notop.h5").write_bytes(GOOD)
    line = not_found("cannot be reached", directory=mine)
    assert line.endswith(
        f"; {mine} (--weights-dir) has no {RELEASE} but efficientnetv2-b0-imagenet-notop.h5; "
        "--weights FILE takes a file of any name"
    )


@pytest.mark.parametrize("url", ["not-a-url", "gopher://127.0.0.1/w"])
def test_an_address_that_is_none_is_not_blamed_on_the_file(empty, monkeypatch, url):
    monkeypatch.setenv("EFFBENCH_WEIGHTS_URL", url)
    assert "md5" not in not_found("cannot download", url)


def test_after_a_bad_download_a_good_one_works(serve):
    serve(body(b"wrong"))
    not_found("another md5")
    serve(body(GOOD))
    assert find().path.read_bytes() == GOOD


# --- the package's trap: it prints a line and goes on with random weights ------------------------


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_no_variant_goes_on_without_its_weights(empty, variant):
    for name in ("auto", *variant.releases):
        source = WeightsSource.parse(name, "auto")
        with pytest.raises(WeightsError):
            weights.find(source, source.identify(variant), variant, None, progress.silent)


def test_a_sweep_without_its_weights_has_a_failure_and_no_result(empty):
    from effbench.records import store
    from effbench.sweep import resolve, scheduler

    options = sweep_options(
        variants="B0", weights="imagenet", data="digits", limit=10, epochs=1, image_size=32,
        device="cpu",
    )  # fmt: skip
    results = store.Store(empty / "results")
    outcome = scheduler.run(resolve.resolve(options), results, lambda _: None)
    assert (outcome.saved, outcome.failed) == (0, 1)
    records = results.load()
    assert records.results == ()
    (failure,) = records.failures
    assert failure.kind == "weights"
    assert failure.message.startswith("cannot download")
    assert "\n" not in failure.message


def test_a_job_without_its_file_does_not_train_on_random_weights(empty):
    from effbench.config import recipes
    from effbench.records import store
    from effbench.sweep import resolve, run_job
    from effbench.training import job as jobs

    options = sweep_options(
        variants="B0", weights="none", data="digits", limit=10, epochs=1, image_size=32,
        device="cpu",
    )  # fmt: skip
    (spec,) = resolve.resolve(options).specs
    assert recipes.get("case-study").epochs == 25
    spec = replace(spec, weights=WeightsSource.parse("imagenet", "auto").identify(B0))
    job = jobs.Job((spec,), empty / "results", None, None, "", "cpu", 0.0)
    with pytest.raises((WeightsError, ValueError, AssertionError)):
        run_job.run(job, lambda _: None, lambda: False)
    assert store.Store(empty / "results").load().results == ()


def test_a_backbone_is_built_without_asking_the_network(monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert backbone.build(B0, 32, "float32").get_weights()
