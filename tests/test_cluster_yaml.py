"""The launcher files, checked offline the way `ray up` checks them before it calls the cloud."""

import copy
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parent.parent
FILES = ("cluster.yaml", "docs/cluster-gcp.yaml")


def _read(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text())


def _check(config: dict) -> dict:
    prepared = prepare_config(copy.deepcopy(config))
    validate_config(prepared)
    return prepared


@pytest.fixture(params=FILES)
def config(request) -> dict:
    return _read(request.param)


def test_ray_accepts_the_file(config):
    prepared = _check(config)
    assert prepared["available_node_types"]["head"]["max_workers"] == 0


def test_head_runs_no_work_and_both_pools_start_empty(config):
    types = config["available_node_types"]
    assert types["head"]["resources"] == {"CPU": 0}
    assert any("--num-cpus=0" in command for command in config["head_start_ray_commands"])
    assert {name: types[name]["min_workers"] for name in ("synthesis", "training")} == {"synthesis": 0, "training": 0}
    assert all(0 < types[name]["max_workers"] <= config["max_workers"] for name in ("synthesis", "training"))
    assert types["synthesis"]["labels"]["pool"] == "synthesis" and types["training"]["labels"]["pool"] == "training"
    assert 0 < config["idle_timeout_minutes"] <= 15


def test_synthesis_is_spot_and_the_image_is_shared():
    aws = _read("cluster.yaml")["available_node_types"]
    assert aws["synthesis"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert len({node["node_config"]["ImageId"] for node in aws.values()}) == 1
    assert _read("docs/cluster-gcp.yaml")["available_node_types"]["synthesis"]["node_config"]["scheduling"] == [{"preemptible": True}]


def test_every_node_starts_with_token_authentication_and_a_closed_dashboard(config):
    starts = [c for key in ("head_start_ray_commands", "worker_start_ray_commands") for c in config[key] if "ray start" in c]
    assert len(starts) == 2
    assert all(command.index("RAY_AUTH_MODE=token") < command.index("ray start") for command in starts)
    assert "0.0.0.0" not in str(config)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


@pytest.mark.parametrize("name", FILES)
def test_no_secret_is_written_in_the_file(name):
    text = (ROOT / name).read_text()
    # Long runs of letters and digits (access keys, tokens, hashes), names that hold one, and private keys.
    assert not re.search(r"\b(?=[A-Za-z]*\d)[A-Za-z0-9]{18,}\b", text)
    assert not re.search(r"(?i)RAY_AUTH_TOKEN=|secret|password|AKIA|BEGIN .*PRIVATE", text)


def test_what_is_mounted_from_the_project_is_what_the_installation_reads(config):
    local = {path for path in config["file_mounts"].values() if not path.startswith("~")}
    assert local == {"pyproject.toml", "README.md", "LICENSE", "drugasr"}


def test_aws_and_gcp_differ_only_in_what_the_cloud_asks_for():
    aws, gcp = _read("cluster.yaml"), _read("docs/cluster-gcp.yaml")
    shared = set(aws) - {"provider", "available_node_types", "head_setup_commands"}
    assert {key: aws[key] for key in shared} == {key: gcp[key] for key in shared}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("idle_timeout_minute",), 5),  # a misspelt key
        (("max_workers",), "twelve"),
        (("head_node_type",), "heads"),
        (("available_node_types", "synthesis", "resources"), {"CPU": -1}),
        (("available_node_types", "synthesis", "spot"), True),
        (("available_node_types", "training", "labels"), {"pool": 1}),
        (("available_node_types", "training", "min_workers"), 13),  # more than max_workers of the cluster
        (("upscaling_speed",), "fast"),
    ],
)
def test_ray_refuses_broken_variants(config, path, value):
    broken = copy.deepcopy(config)
    inner = broken
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises((jsonschema.ValidationError, ValueError)):
        _check(broken)
