"""The README's lines that ask TensorFlow Serving, run on a stand-in: no server is at hand.

It answers as the documentation of the REST API says (tensorflow.org/tfx/serving/api_rest), by what
the server knows of a model: the newest version in its folder, and the signature `serving_default`.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from support.classifiers import NAMES, image, tiny
from support.result_pages import ROOT
from support.server import answering

from effbench.export.formats import ANY_SIZE, FORMATS
from effbench.hardware.tensorflow_setup import tf

CLASSIFIER = tiny()
LINES = re.search(
    r"^import json, urllib.*?^scores = .*?$",
    (ROOT / "README.md").read_text("utf-8"),
    re.DOTALL | re.MULTILINE,
)[0]


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A folder of models by name and version, as the server wants it."""
    folder = tmp_path_factory.mktemp("models")
    FORMATS["savedmodel"].write(CLASSIFIER, folder / "m/1", ANY_SIZE)
    return folder


def predict(models: Path, path: str, body: dict) -> dict:
    """What the server answers to a request of rows."""
    name = re.fullmatch(r"/v1/models/(\w+):predict", path)[1]
    newest = max((models / name).iterdir(), key=lambda version: int(version.name))
    model = tf.saved_model.load(str(newest))
    signature = model.signatures["serving_default"]
    ((argument, kind),) = signature.structured_input_signature[1].items()
    assert body.keys() == {"instances"}
    outputs = signature(**{argument: tf.constant(body["instances"], kind.dtype)})
    assert len(outputs) > 1, "of one output, the server leaves the name out"
    columns = [value.numpy().tolist() for value in outputs.values()]
    rows = [dict(zip(outputs, row, strict=True)) for row in zip(*columns, strict=True)]
    return json.loads(json.dumps({"predictions": rows}, default=bytes.decode))


def test_the_lines_of_the_readme_ask_for_the_scores_of_a_batch(models):
    images = np.stack([image(20, 30, seed) for seed in range(3)])
    answers = []

    def answer(path: str, body: dict) -> dict:
        answers.append(predict(models, path, body))
        return answers[-1]

    space = {"images": images}
    with answering(answer) as url:
        exec(LINES.replace("http://localhost:8501", url), space)
    assert len(LINES.splitlines()) <= 5
    np.testing.assert_allclose(space["scores"], CLASSIFIER.model(images), atol=1e-6)
    assert [row["classes"] for row in answers[0]["predictions"]] == [[*NAMES]] * 3
