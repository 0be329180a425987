"""The builder refuses bad input on the driver, in words, before anything is deployed."""

import json

import pytest
import yaml
from ray.serve import Application
from ray.serve.schema import ServeDeploySchema

from drugasr.errors import ConfigError, LexiconError, ModelError
from serve.app import build
from serve.settings import MODEL_FILES, ServedModel


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in MODEL_FILES:
        (folder / name).write_text(json.dumps({}))
    return folder


def test_builds(model):
    assert isinstance(build({"model": str(model)}), Application)
    assert isinstance(build({"model": f"file://{model}", "num_replicas": "2", "cpus_per_replica": "0.5"}), Application)


def test_no_model_folder(tmp_path):
    with pytest.raises(ModelError, match="is not there"):
        build({"model": str(tmp_path / "nowhere")})
    with pytest.raises(ModelError, match="cannot use"):
        build({"model": "nonsense://bucket/model"})


@pytest.mark.parametrize("name", MODEL_FILES)
def test_incomplete_model_folder(model, name):
    (model / name).unlink()
    with pytest.raises(ModelError, match=f"lacks {name}"):
        build({"model": str(model)})


def test_half_written_model_folder(model):
    (model / "drugasr.json").write_text("{")
    with pytest.raises(ModelError, match="not JSON"):
        build({"model": str(model)})


def test_bad_lexicon(model, tmp_path):
    with pytest.raises(LexiconError, match="quick51"):
        build({"model": str(model), "lexicon": "quick51"})
    (tmp_path / "names.txt").write_text("metformin\ndextrose 5%\n")
    with pytest.raises(LexiconError, match="line 2"):
        build({"model": str(model), "lexicon": str(tmp_path / "names.txt")})


def test_the_served_list_is_read_as_the_trained_one(model, tmp_path):
    (tmp_path / "names.csv").write_text("name,id\nmetoprolol tartrate,m1\nmetoprolol succinate,m2\n")
    args = {"model": str(model), "lexicon": str(tmp_path / "names.csv")}
    assert isinstance(build(args), Application)
    assert isinstance(build(args | {"salts": "keep"}), Application)
    with pytest.raises(LexiconError, match="when its salt is not said"):
        build(args | {"salts": "strip"})
    with pytest.raises(LexiconError, match="salts='drop'"):
        build(args | {"salts": "drop"})


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"modle": "x"}, "modle"),
        ({"num_replicas": "0"}, "num_replicas=0"),
        ({"num_replicas": "two"}, "num_replicas=two"),
        ({"cpus_per_replica": "-1"}, "cpus_per_replica=-1"),
        ({"num_replicas": 3, "max_replicas": 2}, "max_replicas 2 is below num_replicas 3"),
        ({"review": {"min_confidense": 0.5}}, "review.min_confidense is unknown: there are min_confidence"),
        ({"review": {"min_confidence": 5}}, "review.min_confidence must be a number from 0 to 1, not 5"),
        ({"tokens_file": "/nowhere/tokens"}, "tokens_file"),
    ],
)
def test_bad_arguments(model, args, message):
    with pytest.raises(ConfigError, match=message):
        build({"model": str(model), **args})


def test_what_is_served_can_be_changed_without_a_new_process(model):
    """Serve tells deployments apart by their code and arguments; `user_config` is what it changes in place."""
    build({"model": str(model), "review": {"min_confidence": 0.5}, "max_replicas": "4"})
    served = ServedModel(model="shipped", lexicon="quick50", review={"min_confidence": 0.5}).checked()
    assert ServedModel.from_dict(served.to_dict()) == served
    assert served.rule().min_confidence == 0.5 and len(served.read_lexicon()) == 50
    with pytest.raises(ConfigError, match="there are model, lexicon, salts and review"):
        ServedModel.from_dict({"model": "shipped", "list": "quick50"})


def test_the_shipped_model_is_served_where_none_is_named():
    assert build({}) is not None
    assert build({"model": "shipped", "lexicon": "quick50"}) is not None


def test_shipped_config_is_what_serve_deploys(pytestconfig):
    config = yaml.safe_load((pytestconfig.rootpath / "serve" / "config.yaml").read_text())
    deployed = ServeDeploySchema.model_validate(config)
    assert deployed.http_options.host == "127.0.0.1"
    assert [application.import_path for application in deployed.applications] == ["serve.app:build"]
