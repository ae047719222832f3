import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.options import sweep_options
from support.records import h5_file

from effbench.config.recipes import RECIPES
from effbench.config.variants import VARIANTS, select
from effbench.data import datasets
from effbench.engines import engine_table, xla_devices
from effbench.errors import DataError, DeviceError, UsageError, WeightsError
from effbench.hardware import machine, self_check, tpu
from effbench.hardware.self_check import Found
from effbench.records import caveats
from effbench.sweep.resolve import Request, resolve


def small(**changes: object) -> Request:
    plain = {"weights": "none", "data": "digits", "device": "cpu", "variants": "B0"}
    return resolve(sweep_options(**(plain | changes)))


@pytest.fixture
def no_data(monkeypatch):
    """The dataset may have to be downloaded: what can be refused before is refused before."""

    def fail(*_: object) -> None:
        raise AssertionError("the dataset was asked for")

    monkeypatch.setattr(datasets, "load", fail)


def test_every_variant_and_seed_is_a_run_those_of_a_group_beside_each_other():
    request = small(variants="v2", seeds="2,0,1")
    assert [(each.variant, each.seed) for each in request.specs] == [
        (row.name, seed) for row in select("v2") for seed in (2, 0, 1)
    ]
    assert len({each.key for each in request.specs}) == 27
    assert len({each.group for each in request.specs}) == 9


def test_what_is_not_said_is_the_recipes_and_the_variants_own():
    for each in small(variants="B0,T,XL").specs:
        assert each.recipe == RECIPES["case-study"]
        assert each.image_size == VARIANTS[each.variant].image_size
        assert each.data_sha256 == datasets.load("digits").sha256
        assert (each.data, each.limit, each.seed) == ("digits", None, 0)
        assert (each.precision, each.feature_cache) == ("float32", True)
        assert each.weights.random
        assert list(caveats.of_spec(each)) == ["random weights"]


def test_what_is_said_overrides_it_and_is_marked():
    request = small(
        recipe="case-study-2021",
        epochs=3,
        batch_size=7,
        start_step=352,
        image_size=64,
        limit=20,
        precision="mixed_bfloat16",
        feature_cache=False,
        retry_failed=True,
        force=True,
    )
    (only,) = request.specs
    assert (only.recipe.epochs, only.recipe.batch_size, only.recipe.start_step) == (3, 7, 352)
    assert only.recipe.dropout == RECIPES["case-study-2021"].dropout
    assert (only.image_size, only.limit) == (64, 20)
    assert (only.precision, only.feature_cache) == ("mixed_bfloat16", False)
    assert only.preprocessing == "notebook-2021"
    assert list(caveats.of_spec(only)) == [
        "random weights",
        "limited",
        "changed recipe",
        "not native size",
        "mixed_bfloat16",
        "backbone in every step",
    ]
    assert request.options.execution.retry_failed
    assert request.options.execution.force


def test_auto_is_a_release_for_each_known_before_any_download():
    request = small(variants="T,S,XL", weights="auto")
    assert [each.weights.name for each in request.specs] == [
        "imagenet",
        "imagenet",
        "imagenet21k-ft1k",
    ]
    for each in request.specs:
        assert each.weights.released
        release = VARIANTS[each.variant].release("auto")
        assert each.weights.digest == f"md5:{release.md5}"


def test_a_limit_does_not_change_the_hash_of_the_data_but_the_key():
    (whole,), (limited,) = small().specs, small(limit=20).specs
    assert limited.data_sha256 == whole.data_sha256
    assert limited.key != whole.key


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("0", [0]),
        ("3,1,2", [3, 1, 2]),
        (" 4 , 5 ", [4, 5]),
        ("2147483647", [2**31 - 1]),
        ("0-4", [0, 1, 2, 3, 4]),
        ("0,2-5", [0, 2, 3, 4, 5]),
        ("7-8, 3 - 4", [7, 8, 3, 4]),
        ("6-6", [6]),
        ("2147483646-2147483647", [2**31 - 2, 2**31 - 1]),
    ],
)
def test_seeds(text, seeds):
    assert [spec.seed for spec in small(seeds=text).specs] == seeds


@pytest.mark.parametrize(
    ("text", "line"),
    [
        *(
            (text, f"seeds are whole numbers from 0 on: {part!r}; write e.g. 0,1,2 or 0-4")
            for text, part in [
                *(("", ""), ("a,b", "a"), ("-1", "-1"), ("1,-1", "-1"), ("1.5", "1.5"), ("0,", "")),
                *(("1-", "1-"), ("-", "-"), ("--", "--"), ("0--4", "0--4"), ("0-2-4", "0-2-4")),
                *(("0-b", "0-b"), ("٣", "٣")),
            ]
        ),
        ("0,0", "a seed is there twice: 0 in 0,0; name each seed once"),
        ("0-4,3-5", "a seed is there twice: 3, 4 in 0-4,3-5; name each seed once"),
        ("4-0", "a range of seeds goes up: 4-0; write 0-4"),
        ("2147483648", "the largest seed is 2147483647: 2147483648; write a smaller one"),
        (f"0-{10**40}", f"the largest seed is 2147483647: 0-{10**40}; write a smaller one"),
    ],
)
def test_impossible_seeds_are_refused(text, line, no_data):
    with pytest.raises(UsageError) as caught:
        small(seeds=text)
    assert str(caught.value) == line


def test_more_seeds_than_anybody_means_are_refused(no_data):
    for text in ("0-2147483647", "0-1000", "0-499,500-1000"):
        with pytest.raises(UsageError) as caught:
            small(seeds=text)
        line = f"a sweep takes at most 1,000 seeds: {text}; write a shorter range"
        assert str(caught.value) == line


@pytest.mark.parametrize(
    ("changes", "error", "line"),
    [
        ({"variants": "B9"}, UsageError, "unknown variant: B9"),
        ({"recipe": "mine"}, UsageError, "unknown recipe: mine"),
        ({"weights": "imagenet22k"}, UsageError, "unknown weights: imagenet22k"),
        ({"weights": ""}, UsageError, "unknown weights: "),
        ({"variants": "T", "weights": "imagenet21k"}, UsageError, "T has no such release"),
        ({"variants": "XL", "weights": "imagenet"}, UsageError, "XL has no such release"),
        ({"weights": "no/such.h5"}, WeightsError, "cannot read the weights: "),
        ({"weights": "x.h5", "variants": "B0,B1"}, UsageError, "a file of weights fits one var"),
    ],
)
def test_what_cannot_be_is_refused_before_the_data_is_asked_for(changes, error, line, no_data):
    with pytest.raises(error) as caught:
        small(**changes)
    assert str(caught.value).startswith(line)


def test_the_usual_recipe_is_that_of_the_data(monkeypatch):
    (digits,) = small(recipe=None).specs
    assert digits.recipe == RECIPES["linear-probe"]
    monkeypatch.setitem(
        datasets.DATASETS,
        "cifar10",
        replace(datasets.DATASETS["digits"], recipe=datasets.DATASETS["cifar10"].recipe),
    )
    (cifar,) = small(recipe=None, data="cifar10").specs
    assert cifar.recipe == RECIPES["case-study"]
    assert {datasets.recipe(name) for name in (*datasets.DATASETS, "my photos")} == {
        "linear-probe",
        "case-study",
    }


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"epochs": 3}, "needs no --epochs: 3; leave it out"),
        ({"batch_size": 64}, "needs no --batch-size: 64; leave it out"),
        ({"start_step": 0}, "needs no --start-step: 0; leave it out"),
        ({"micro_batch": 8}, "needs no --micro-batch: 8; leave it out"),
        ({"feature_cache": False}, "needs no --no-feature-cache: all features are computed once;"),
    ],
)
def test_a_linear_probe_takes_no_flag_that_it_ignores(changes, line, no_data):
    with pytest.raises(UsageError) as caught:
        small(recipe="linear-probe", **changes)
    rule = "linear-probe trains a logistic regression, which "
    assert str(caught.value).startswith(rule + line)


def test_a_linear_probe_is_one_run_whatever_the_seeds():
    assert small(recipe="linear-probe").remarks == ()
    request = small(recipe="linear-probe", variants="B0,B1", seeds="3,4")
    assert [(spec.variant, spec.seed) for spec in request.specs] == [("B0", 0), ("B1", 0)]
    (remark,) = request.remarks
    assert remark.endswith("one run of each variant, not --seeds 3,4")


def test_several_recipes_are_swept_in_their_order_each_with_what_it_has():
    request = small(
        recipe="linear-probe, finetune",
        seeds="0,1",
        epochs=2,
        batch_size=64,
        micro_batch=32,
        settings=("l2_values=9", "flip=no"),
    )
    probe, *networks = request.specs
    assert [(spec.recipe.name, spec.seed) for spec in request.specs] == [
        ("linear-probe", 0),
        ("finetune", 0),
        ("finetune", 1),
    ]
    assert (probe.recipe.l2_values, probe.recipe.epochs, probe.micro_batch) == (9, 0, None)
    assert probe.feature_cache
    for spec in networks:
        assert (spec.recipe.epochs, spec.recipe.flip, spec.micro_batch) == (2, False, 32)
        assert not spec.feature_cache
    assert len(request.remarks) == 1


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"recipe": "linear-probe,linear-probe"}, "a recipe is there twice: linear-probe,linear"),
        ({"recipe": "linear-probe,best"}, "unknown recipe: best; choose from linear-probe"),
        ({"settings": ("colour=red",)}, "linear-probe has no such key to --set: colour=red; keys"),
        ({"micro_batch": 8}, "linear-probe trains a logistic regression, which needs no --micro-b"),
    ],
)
def test_what_suits_none_of_several_recipes_is_refused(changes, line, no_data):
    with pytest.raises(UsageError) as caught:
        small(**{"recipe": "linear-probe,case-study"} | changes)
    assert str(caught.value).startswith(line)


def test_random_weights_of_one_recipe_leave_those_of_others_alone():
    request = small(recipe="scratch,finetune", weights="auto")
    assert [spec.weights.name for spec in request.specs] == ["none", "imagenet"]
    assert request.source.name == "auto"


def test_images_of_each_class_are_part_of_a_run_and_a_mark():
    (spec,) = small(recipe="linear-probe", per_class=5).specs
    assert spec.per_class == 5
    assert "-5each-s0-" in spec.key
    assert caveats.of_spec(spec)["limited"] == "5 images a class"
    with pytest.raises(UsageError, match="--limit and --per-class exclude one another: 50 and 5"):
        small(per_class=5, limit=50)
    with pytest.raises(UsageError, match="--kfold takes all images"):
        small(per_class=5, kfold=5)


@pytest.mark.parametrize(("name", "index"), [("training", 0), ("validation", 1)])
def test_a_linear_probe_needs_images_of_each_class(name, index, monkeypatch):
    whole = datasets.load("digits")
    splits = [whole.train, whole.validation]
    splits[index] = splits[index].take(np.flatnonzero(splits[index].labels != 7))
    broken = replace(whole, train=splits[0], validation=splits[1])
    monkeypatch.setattr(datasets, "load", lambda *_, **__: broken)
    with pytest.raises(DataError) as caught:
        small(recipe="linear-probe")
    line = f"linear-probe needs a {name} image of each class: none of 7"
    assert str(caught.value) == f"{line}; add images"
    with pytest.raises(UsageError) as caught:
        small(recipe="linear-probe", limit=50)
    assert str(caught.value) == f"{line}; give a larger --limit, or add images"
    assert small().specs  # which a head can do without


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"recipe": "finetune"}, "finetune trains a whole network, which needs no "),
        (
            {"limit": 100},
            "--kfold takes all images, by features that are computed once: --limit; leave out --k",
        ),
        (
            {"feature_cache": False},
            "--kfold takes all images, by features that are computed once: --no-feature-cache;",
        ),
        (
            {"kfold": 175},
            "--kfold takes 3 to 174 folds, as 8 has 174 images: 175; give fewer folds",
        ),
    ],
)
def test_folds_that_cannot_be_made_are_refused(changes, line):
    with pytest.raises(UsageError) as caught:
        small(**{"kfold": 5} | changes)
    assert str(caught.value).startswith(line)


def test_folds_are_part_of_a_run():
    (plain,), (folded,) = (small(kfold=kfold).specs for kfold in (None, 5))
    assert (plain.folds, folded.folds) == (0, 5)
    assert "-5fold-s0-" in folded.key


def test_groups_that_are_too_few_to_train_on_in_every_turn_are_refused(monkeypatch):
    whole = datasets.load("digits")
    split = whole.train
    # All images of a class are of one group, and so in one fold.
    grouped = replace(split, groups=np.where(split.labels == 3, 0, split.index + 1).astype(int))
    parts = [grouped.take(part) for part in np.array_split(np.arange(len(split.labels)), 3)]
    broken = replace(whole, train=parts[0], validation=parts[1], test=parts[2])
    monkeypatch.setattr(datasets, "load", lambda *_, **__: broken)
    with pytest.raises(UsageError, match=r"every fold needs images of each class: .* none of 3,"):
        small(recipe="linear-probe", kfold=5)


def test_a_device_that_is_not_there_is_refused_before_the_data_is_asked_for(no_data, monkeypatch):
    monkeypatch.setattr(machine, "has_gpu", lambda: False)
    with pytest.raises(DeviceError):
        small(device="gpu")


@pytest.mark.parametrize(
    ("changes", "batch"),
    [
        ({}, 128),
        ({"replicas": 1}, 16),
        ({"replicas": 4}, 64),
        ({"replicas": 8}, 128),
        ({"replicas": 64}, 1024),
        ({"replicas": 4, "batch_size": 128}, 128),
        ({"replicas": 4, "settings": ("batch_size=32",)}, 32),
        ({"device": "tpu"}, 64),
        ({"device": "tpu", "batch_size": 256}, 256),
        ({"device": "gpu"}, 64),
    ],
)
def test_the_batch_is_16_for_each_replica(changes, batch, four):
    request = small(**changes)
    (only,) = request.specs
    assert only.recipe.batch_size == batch
    assert ("changed recipe" in caveats.of_spec(only)) == (batch != 128)
    assert request.options.device.replicas == changes.get("replicas")
    assert request.target.chief


@pytest.fixture
def four(monkeypatch):
    """A machine with four chips, TensorFlow's build for them, and as many GPUs."""
    monkeypatch.setattr(tpu, "build", lambda: True)
    monkeypatch.setattr(machine, "has_tpu", lambda: True)
    monkeypatch.setattr(machine, "has_gpu", lambda: True)
    monkeypatch.setattr(self_check, "ask", lambda *_: Found("four", 4, 2, {}))


def test_one_gpu_has_the_recipes_own_batch(four, monkeypatch):
    monkeypatch.setattr(self_check, "ask", lambda *_: Found("one", 1, 2, {}))
    assert small(device="gpu").specs[0].recipe.batch_size == 128


def test_xla_shares_a_batch_among_all_devices(four, monkeypatch):
    monkeypatch.setattr(engine_table, "find_spec", lambda name: True)
    monkeypatch.setattr(xla_devices, "count", lambda kind: {"gpu": 2, "tpu": 1}[kind])
    changes = {"engine": "xla"}
    assert small(device="gpu", **changes).specs[0].recipe.batch_size == 32
    assert small(device="tpu", **changes).specs[0].recipe.batch_size == 16
    parts = small(replicas=8, **changes)
    assert (parts.specs[0].recipe.batch_size, parts.target.engine) == (128, "xla")
    assert small(replicas=8).target.engine == "tensorflow"
    with pytest.raises(UsageError, match="parts of a CPU in that or in XLA: --engine openvino"):
        small(replicas=8, engine="openvino")


@pytest.mark.parametrize(
    "changes",
    [
        {"replicas": 3, "batch_size": 128},
        {"replicas": 8, "batch_size": 20},
        {"replicas": 8, "batch_size": 4},
        {"device": "tpu", "batch_size": 30},
    ],
)
def test_a_batch_that_does_not_divide_is_refused(changes, four, no_data):
    with pytest.raises(UsageError) as caught:
        small(**changes)
    replicas = changes.get("replicas", 4)
    assert str(caught.value) == (
        f"--batch-size is global, and divides by the {replicas} replicas: "
        f"{changes['batch_size']}; give a multiple of {replicas}"
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"device": "tpu", "replicas": 8}, "--replicas goes with --cpu: --replicas 8; add --cpu"),
        ({"device": "auto", "replicas": 8}, "--replicas goes with --cpu"),
        ({"tpu_name": "x"}, "--tpu-name goes with --tpu: --tpu-name x; add --tpu"),
        ({"device": "gpu", "tpu_name": "x"}, "--tpu-name goes with --tpu"),
    ],
)
def test_flags_that_do_not_go_together(changes, line, four, no_data):
    with pytest.raises(UsageError) as caught:
        small(**changes)
    assert str(caught.value).startswith(line)


def test_several_hosts_share_the_batch_and_have_one_chief(four, monkeypatch):
    def place(index: int) -> None:
        jobs = {"worker": ["a:1", "b:1", "c:1"]}
        task = {"type": "worker", "index": index}
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": jobs, "task": task}))

    place(0)
    assert small().specs[0].recipe.batch_size == 48
    assert small(device="gpu").specs[0].recipe.batch_size == 16 * 4 * 3
    assert small().target.chief
    place(2)
    assert not small().target.chief
    # One process drives all hosts of a pod.
    assert small(device="tpu").target.chief
    assert small(device="tpu").specs[0].recipe.batch_size == 64
    with pytest.raises(UsageError, match="--replicas is for one host"):
        small(replicas=2)


def test_one_impossible_variant_of_many_is_named(no_data):
    with pytest.raises(UsageError, match="T has no such release of weights: imagenet21k"):
        small(variants="all", weights="imagenet21k")


@pytest.mark.parametrize("limit", [3, 1258])
def test_an_impossible_limit_is_refused(limit):
    with pytest.raises(UsageError, match="--limit takes 10"):
        small(limit=limit)


def test_an_unknown_dataset_is_refused():
    with pytest.raises(UsageError, match="unknown dataset: mnist"):
        small(data="mnist")


def test_a_file_of_weights_is_known_by_its_content(tmp_path):
    one, other = tmp_path / "efficientnetv2-b0-imagenet-notop.h5", tmp_path / "own.h5"
    one.write_bytes(h5_file("some"))
    other.write_bytes(h5_file("some"))
    (named,) = small(weights=str(one)).specs
    assert (named.weights.name, named.weights.rescale) == ("imagenet", "torch")
    with pytest.raises(UsageError, match="--rescale torch"):
        small(weights=str(other))
    (said,) = small(weights=str(other), rescale="tf").specs
    assert (said.weights.name, said.weights.rescale) == ("file", "tf")
    assert said.weights.digest == named.weights.digest
    one.write_bytes(b"else")
    assert small(weights=str(one)).specs[0].key != named.key
    assert list(caveats.of_spec(named)) == ["weights not a release"]


def test_a_folder_of_data_may_be_given_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert small(data_dir=Path("here")).data_dir == tmp_path / "here"


@pytest.mark.parametrize(
    ("changes", "epochs", "mark"),
    [
        ({"settings": ("steps=150",)}, 150, {"limited": "50 images, 150 steps"}),
        ({"settings": ("steps=3",)}, 3, {"limited": "50 images, 3 epochs, 3 steps"}),
        (
            {"settings": ("steps=150",), "epochs": 4},
            4,
            {"limited": "50 images, 4 epochs, 150 steps"},
        ),
        ({"settings": ("steps=150", "epochs=4")}, 4, {"limited": "50 images, 4 epochs, 150 steps"}),
        ({}, 115, {"limited": "50 images"}),
    ],
)
def test_steps_that_are_asked_for_get_the_epochs_that_they_take(changes, epochs, mark):
    request = small(recipe="finetune", batch_size=32, limit=50, image_size=32, **changes)
    (spec,) = request.specs
    assert spec.recipe.epochs == epochs
    assert caveats.of_spec(spec)["limited"] == mark["limited"]


def test_lists_are_searches_of_each_variant_for_the_recipes_that_have_the_number():
    request = small(
        variants="B0,B1",
        recipe="linear-probe,case-study",
        settings=("learning_rate=1e-3,1e-2", "weight_decay=0,1e-4"),
        seeds="0,1",
    )
    heads = [spec for spec in request.specs if spec.recipe.name == "case-study"]
    assert len(request.specs) - len(heads) == 2
    tried = {(spec.recipe.maximal_learning_rate, spec.recipe.weight_decay) for spec in heads}
    assert tried == {(1e-3, 0), (1e-3, 1e-4), (1e-2, 0), (1e-2, 1e-4)}
    assert len(heads) == len({spec.key for spec in heads}) == 2 * 2 * 4
    assert [search.key[:2] for search in request.searches] == ["B0", "B1"]
    assert all(any(search.holds(spec) for search in request.searches) for spec in heads)
    # Asked for alone, it has the same key.
    (alone,) = small(settings=("learning_rate=1e-3", "weight_decay=0")).specs
    assert alone in request.specs


def test_a_search_of_batches_leaves_the_epochs_alone():
    settings = ("batch_size=16,32", "steps=20")
    with pytest.raises(UsageError, match="values of a search change nothing else: the epochs"):
        small(recipe="finetune", settings=settings, limit=100)
    assert len(small(recipe="finetune", settings=settings, limit=100, epochs=2).specs) == 2


def test_a_dry_run_tells_what_each_run_tries(run, tmp_path):
    done = run(
        *("sweep", "--variants", "B0", "--weights", "none", "--data", "digits", "--cpu"),
        *("--recipe", "case-study", "--set", "learning_rate=1e-3,1e-2", "--dry-run"),
        *("--results", tmp_path),
    )
    rows = [line.split("\t") for line in done.out.partition("\n\n")[0].splitlines()]
    values = [f"maximal_learning_rate {rate}" for rate in (0.001, 0.01)]
    assert [(row[0], row[2]) for row in rows] == [("run", value) for value in values]
    assert not [*tmp_path.iterdir()]


def test_a_stage_is_one_of_the_variants():
    settings = ("unfreeze=stage8",)
    (run,) = small(recipe="finetune", variants="M", settings=settings).specs
    assert run.recipe.unfreeze == "stage8"
    with pytest.raises(UsageError, match=r"^B0 has no such stage to --set unfreeze: stage8;"):
        small(recipe="finetune", settings=settings)
    assert len(small(recipe="finetune", settings=("unfreeze=all,stage5,stage6",)).specs) == 3
