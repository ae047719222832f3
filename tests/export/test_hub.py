"""What `huggingface_hub` sends of a model card to the Hub, to a server that stands in for it.

The Hub alone knows its rules; what can be seen here is that nothing of a card is lost on the way.
"""

from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard, constants
from huggingface_hub.repocard_data import (
    eval_results_to_model_index,
    model_index_to_eval_results,
)
from support.records import failure, result
from support.server import answering

from effbench.export import model_card
from effbench.export.formats import FORMATS
from effbench.export.orders import ExportOrder
from effbench.records.store import Store


def header(text: str) -> dict:
    """The YAML that a card begins with."""
    before, yaml_text, _ = text.split("---\n", 2)
    assert before == ""
    return yaml.safe_load(yaml_text)


@pytest.fixture
def sent(monkeypatch):
    """What `validate` posts of a card."""

    def sent(card: ModelCard) -> dict:
        posts = []

        def answer(path: str, body: dict) -> dict:
            posts.append((path, body))
            return {}

        with answering(answer) as url:
            monkeypatch.setattr(constants, "ENDPOINT", url)
            card.validate()
        ((path, body),) = posts
        assert path == "/api/validate-yaml"
        return body

    return sent


@pytest.mark.parametrize("name", FORMATS)
def test_a_card_reaches_the_hub_with_all_that_its_header_says(name, sent, tmp_path):
    record = result()
    text = model_card.text(ExportOrder(Store(tmp_path), record, name, Path("x")), "b" * 64)
    body = sent(ModelCard(text))
    assert body["repoType"] == "model"
    said = header(body["content"])
    assert said == header(text)
    figures = model_index_to_eval_results(said["model-index"])
    assert eval_results_to_model_index(*figures) == said["model-index"]
    (model,) = said["model-index"]
    assert model["name"] == record.spec.key
    ((metric,),) = (figure["metrics"] for figure in model["results"])
    test = record.reported.test
    assert metric["value"] == pytest.approx(test.correct / test.total, abs=1e-6)
    assert body["content"].endswith(text.split("---\n", 2)[2])


def test_a_card_without_a_figure_has_no_model_index(sent, tmp_path):
    text = model_card.text(ExportOrder(Store(tmp_path), failure(), "keras", Path("x")), "b" * 64)
    said = header(sent(ModelCard(text))["content"])
    assert said == header(text)
    assert "model-index" not in said
