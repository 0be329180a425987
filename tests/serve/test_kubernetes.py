"""The manifests for KubeRay: their own fields by KubeRay's API, the pods by the schema of Kubernetes, and what they run by this project."""

import copy
import shlex
from importlib import import_module
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ray.serve.schema import ServeDeploySchema

from jobs.flags import config_of
from serve.app import ARGUMENTS

FOLDER = Path(__file__).parents[2] / "serve" / "kubernetes"
_KUBERNETES = "1.34"


class _Strict(BaseModel):
    """No other field, and no number where a text belongs: what KubeRay's custom resource definitions ask, too."""

    model_config = ConfigDict(extra="forbid", strict=True)


class AutoscalerOptions(_Strict):
    resources: dict | None = None
    image: str | None = None
    idleTimeoutSeconds: int | None = None
    upscalingMode: str | None = Field(None, pattern="^(Default|Aggressive|Conservative)$")


class HeadGroup(_Strict):
    serviceType: str | None = None
    rayStartParams: dict[str, str]
    template: dict


class WorkerGroup(_Strict):
    groupName: str
    replicas: int = 0
    minReplicas: int = Field(ge=0)
    maxReplicas: int = Field(ge=0)
    rayStartParams: dict[str, str]
    template: dict


class RayCluster(_Strict):
    rayVersion: str
    enableInTreeAutoscaling: bool | None = None
    autoscalerOptions: AutoscalerOptions | None = None
    headGroupSpec: HeadGroup
    workerGroupSpecs: list[WorkerGroup]


class RayServiceSpec(_Strict):
    serveConfigV2: str
    rayClusterConfig: RayCluster


class RayJobSpec(_Strict):
    entrypoint: str
    runtimeEnvYAML: str | None = None
    shutdownAfterJobFinishes: bool = False
    ttlSecondsAfterFinished: int = 0
    activeDeadlineSeconds: int | None = Field(None, gt=0)
    backoffLimit: int | None = None
    rayClusterSpec: RayCluster


class Metadata(_Strict):
    name: str | None = None
    generateName: str | None = None


class Manifest(_Strict):
    apiVersion: str = Field(pattern="^ray.io/v1$")
    kind: str
    metadata: Metadata
    spec: dict


SPECS = {"RayService": RayServiceSpec, "RayJob": RayJobSpec}


def read(name: str) -> dict:
    return yaml.safe_load((FOLDER / name).read_text())


def check(manifest: dict) -> None:
    """Raises ValidationError, of pydantic or of kubernetes_validate."""
    spec = SPECS[Manifest(**manifest).kind](**manifest["spec"])
    cluster = spec.rayClusterConfig if isinstance(spec, RayServiceSpec) else spec.rayClusterSpec
    for template in (cluster.headGroupSpec.template, *(group.template for group in cluster.workerGroupSpecs)):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, **template}
        kubernetes_validate.validate(pod, _KUBERNETES, strict=True)


@pytest.mark.parametrize("name", [file.name for file in sorted(FOLDER.glob("*.yaml"))])
def test_a_manifest_is_one(name):
    check(read(name))


BREACHES = [
    lambda spec: spec.update(serveConfig=""),
    lambda spec: spec["rayClusterConfig"]["headGroupSpec"]["rayStartParams"].update({"num-cpus": 0}),
    lambda spec: spec["rayClusterConfig"]["workerGroupSpecs"][0].pop("groupName"),
    lambda spec: spec["rayClusterConfig"]["workerGroupSpecs"][0].update(maxReplicas="4"),
    lambda spec: spec["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["containers"][0].update(img="x"),
    lambda spec: spec["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["containers"][0]["env"].append({"name": "X", "value": 1}),
]


@pytest.mark.parametrize("breach", BREACHES)
def test_a_planted_breach_is_caught(breach):
    manifest = copy.deepcopy(read("rayservice.yaml"))
    breach(manifest["spec"])
    with pytest.raises((ValidationError, kubernetes_validate.ValidationError)):
        check(manifest)


def test_the_service_deploys_this_application():
    deployed = ServeDeploySchema.model_validate(yaml.safe_load(read("rayservice.yaml")["spec"]["serveConfigV2"]))
    (application,) = deployed.applications
    assert application.import_path == "serve.app:build" and set(application.args) <= set(ARGUMENTS)
    assert application.args["tokens_file"]  # it listens to the whole network


def test_the_job_is_one_with_flags_that_are_accepted():
    python, _, module, *flags = shlex.split(read("rayjob.yaml")["spec"]["entrypoint"])
    assert python == "python"
    config_of(import_module(module).parser().parse_args(flags))


def test_the_pods_run_the_ray_that_the_project_asks_for(pytestconfig):
    wanted = (pytestconfig.rootpath / "pyproject.toml").read_text()
    for name, cluster in (("rayservice.yaml", "rayClusterConfig"), ("rayjob.yaml", "rayClusterSpec")):
        version = read(name)["spec"][cluster]["rayVersion"]
        assert f">={version.rsplit('.', 1)[0]}," in wanted
