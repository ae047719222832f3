import inspect
from dataclasses import replace

import pytest

from effbench.config.variants import RELEASES, VARIANTS, Variant, select
from effbench.errors import EffbenchError, UsageError

NAMES = ["B0", "B1", "B2", "B3", "T", "S", "M", "L", "XL"]
V1_NAMES = [f"V1-{name}" for name in ("B0", "B1", "B2", "B3", "B4", "B5", "B6", "B7", "L2")]
ALL_RELEASES = ["imagenet", "imagenet21k", "imagenet21k-ft1k"]


@pytest.fixture(scope="module")
def package():
    """The package itself; the table must agree with it, though it is read without importing it."""
    from effbench.hardware.tensorflow_setup import keras_efficientnet_v2

    return keras_efficientnet_v2


def names(text: str) -> list[str]:
    return [row.name for row in select(text)]


def test_all_in_order():
    assert list(VARIANTS) == NAMES + V1_NAMES
    assert names("all") == names(" ALL ") == names("V1,v2") == NAMES + V1_NAMES
    assert names("v2") == NAMES
    assert names("v1") == V1_NAMES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B0", ["B0"]),
        ("b0,xl", ["B0", "XL"]),
        ("XL, T ,b3", ["B3", "T", "XL"]),
        ("B0,B0,b0", ["B0"]),
        ("S,,M,", ["S", "M"]),
        ("v1-b0,S", ["S", "V1-B0"]),
        ("v2,V1-L2", [*NAMES, "V1-L2"]),
    ],
)
def test_select(text, expected):
    assert names(text) == expected


@pytest.mark.parametrize(
    ("text", "received"),
    [("B4", "B4"), ("B0,X,Y", "X, Y"), ("", "an empty list"), (",", "an empty list")],
)
def test_select_refuses_unknown_names(text, received):
    with pytest.raises(UsageError) as caught:
        select(text)
    assert received in str(caught.value)
    assert all(name in str(caught.value) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_releases_that_exist(name):
    missing = {"T": {"imagenet21k", "imagenet21k-ft1k"}, "XL": {"imagenet"}}.get(name, set())
    assert list(VARIANTS[name].releases) == [each for each in ALL_RELEASES if each not in missing]


@pytest.mark.parametrize(
    ("name", "release", "offered"),
    [
        ("T", "imagenet21k", "imagenet"),
        ("T", "imagenet21k-ft1k", "imagenet"),
        ("XL", "imagenet", "imagenet21k, imagenet21k-ft1k"),
        ("B0", "imagenet22k", "imagenet, imagenet21k, imagenet21k-ft1k"),
    ],
)
def test_a_release_that_does_not_exist_is_refused(name, release, offered):
    with pytest.raises(UsageError) as caught:
        VARIANTS[name].release(release)
    assert f"{name} has no such release" in str(caught.value)
    assert f"it has {offered};" in str(caught.value)


@pytest.mark.parametrize("name", V1_NAMES)
def test_v1_was_released_twice_and_l2_once(name):
    expected = ["imagenet", "noisy_student"][name == "V1-L2" :]
    assert list(VARIANTS[name].releases) == expected
    assert VARIANTS[name].release("auto").name == expected[0]


@pytest.mark.parametrize("name", NAMES)
def test_auto_is_the_case_studys_choice(name):
    expected = "imagenet21k-ft1k" if name == "XL" else "imagenet"
    assert VARIANTS[name].release("auto").name == expected


@pytest.mark.parametrize("name", NAMES + V1_NAMES)
def test_rescaling_is_what_the_weights_were_trained_with(name):
    own = "torch" if name in ("B0", "B1", "B2", "B3", "T", *V1_NAMES) else "tf"
    assert VARIANTS[name].rescale == own
    for release in VARIANTS[name].releases.values():
        assert release.rescale == ("tf" if "21k" in release.name else own)


def test_release_files_are_named_as_published():
    assert VARIANTS["B0"].release("imagenet").file == "efficientnetv2-b0-imagenet.h5"
    assert VARIANTS["S"].release("imagenet21k").file == "efficientnetv2-s-21k.h5"
    assert VARIANTS["XL"].release("auto").file == "efficientnetv2-xl-21k-ft1k.h5"
    assert VARIANTS["V1-B7"].release("noisy_student").file == "efficientnetv1-b7-noisy_student.h5"
    assert VARIANTS["B0"].url.endswith("/effnetv2_pretrained")
    assert VARIANTS["V1-B7"].url.endswith("/effnetv1_pretrained")


def test_md5_of_every_release_is_the_packages_own(package):
    published = package.efficientnet_v2.FILE_HASH_DICT
    assert {
        row.model_type: {
            RELEASES[name].suffix: release.md5 for name, release in row.releases.items()
        }
        for row in VARIANTS.values()
    } == {row.model_type: published[row.model_type] for row in VARIANTS.values()}
    assert set(published) == {row.model_type for row in VARIANTS.values()}


@pytest.mark.parametrize("name", NAMES + V1_NAMES)
def test_rescaling_is_the_packages_default(name, package):
    first, second = package.efficientnet_v1.BLOCK_CONFIGS, package.efficientnet_v2.BLOCK_CONFIGS
    config = second.get(VARIANTS[name].model_type, first["base"])
    assert VARIANTS[name].rescale == config["rescale_mode"]


@pytest.mark.parametrize("name", NAMES + V1_NAMES)
def test_native_size_is_the_builders_default(name, package):
    row = VARIANTS[name]
    default = inspect.signature(getattr(package, row.builder)).parameters["input_shape"].default
    assert default == (row.image_size, row.image_size, 3)


def test_a_package_without_the_tables_is_one_clear_line(tmp_path, monkeypatch):
    """Another version of the package, or none, is the user's to mend, not a traceback."""
    from effbench.config import variants

    row = Variant("B0", "EfficientNetV2B0", "b0", 224, 1, 1)
    other = tmp_path / "keras_efficientnet_v2"
    other.mkdir()
    (other / "__init__.py").touch()
    (other / "efficientnet_v2.py").write_text("X = 1\n")
    monkeypatch.setattr(variants, "_package_table", variants._package_table.__wrapped__)
    with monkeypatch.context() as patch:
        patch.setattr(variants, "find_spec", lambda _: None)
        with pytest.raises(EffbenchError, match="make setup"):
            row.releases  # noqa: B018  a property

    class Spec:
        submodule_search_locations = (str(other),)

    monkeypatch.setattr(variants, "find_spec", lambda _: Spec)
    with pytest.raises(EffbenchError, match="no FILE_HASH_DICT"):
        row.releases  # noqa: B018


def test_a_network_without_published_weights_says_so():
    unpublished = replace(VARIANTS["B0"], name="EARLY", model_type="early")
    assert unpublished.releases == {}
    with pytest.raises(UsageError, match="EARLY has no such release of weights: auto; there is no"):
        unpublished.release("auto")
