import yaml

from drugasr.config import LexiconConfig, ServingConfig
from jobs.deploying import write_serve_config
from serve.app import ARGUMENTS


def test_the_served_list_is_the_trained_one(tmp_path):
    lexicon = LexiconConfig(source="/lists/formulary.csv", salts="strip")
    write_serve_config("/models/one", lexicon, ServingConfig(num_replicas=2), str(tmp_path / "serve.yaml"))
    config = yaml.safe_load((tmp_path / "serve.yaml").read_text())
    args = config["applications"][0]["args"]
    written = {"model": "/models/one", "lexicon": "/lists/formulary.csv", "salts": "strip", "num_replicas": 2, "max_replicas": 0, "cpus_per_replica": 1.0}
    assert args == written | {"review": {}, "tokens_file": "", "audit_folder": ""}


def test_the_shipped_config_names_every_argument(pytestconfig):
    config = yaml.safe_load((pytestconfig.rootpath / "serve" / "config.yaml").read_text())
    assert tuple(config["applications"][0]["args"]) == ARGUMENTS
