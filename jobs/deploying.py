"""Deploys a model on Ray Serve as `serve/config.yaml` says, and asks it about one clip."""

import json
import socket
import urllib.request
from importlib import import_module
from pathlib import Path

import yaml
from ray import serve
from ray.serve.schema import LoggingConfig

from drugasr import storage
from drugasr.config import LexiconConfig, ServingConfig

_CONFIG_FILE = Path(__file__).parents[1] / "serve" / "config.yaml"
_TIMEOUT_S = 60


def write_serve_config(model_uri: str, lexicon: LexiconConfig, serving: ServingConfig, uri: str) -> dict:
    """The production config with this model and list filled in, for `serve run` and `serve deploy`."""
    config = yaml.safe_load(_CONFIG_FILE.read_text())
    config["applications"][0]["args"] |= {
        "model": model_uri,
        "lexicon": lexicon.source,
        "salts": lexicon.salts,
        "num_replicas": serving.num_replicas,
        "max_replicas": serving.max_replicas,
        "cpus_per_replica": serving.cpus_per_replica,
    }
    http = config["http_options"]
    http |= {"host": serving.host, "port": serving.port or http["port"]}
    storage.write_bytes(uri, yaml.safe_dump(config, sort_keys=False).encode())
    http["port"] = serving.port or _free_port(serving.host)
    return config


def deploy(config: dict) -> str:
    """Deploys the config's application and waits until it answers; returns its address."""
    application, http = config["applications"][0], config["http_options"]
    module, _, attribute = application["import_path"].partition(":")
    quiet = LoggingConfig(log_level="WARNING")
    serve.start(proxy_location=config["proxy_location"], http_options=http, logging_config=quiet)
    built = getattr(import_module(module), attribute)(application["args"])
    serve.run(built, name=application["name"], route_prefix=application["route_prefix"], logging_config=quiet)
    return f"http://{http['host']}:{http['port']}"


def ask(address: str, clip: bytes) -> dict:
    """The service's answer to an encoded clip."""
    request = urllib.request.Request(f"{address}/v1/recognize", data=clip, headers={"Content-Type": "audio/flac"})
    # No proxy stands between a machine and itself, whatever the environment says.
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=_TIMEOUT_S) as response:
        return json.load(response)


def _free_port(host: str) -> int:
    with socket.socket() as free:
        free.bind((host, 0))
        return free.getsockname()[1]
