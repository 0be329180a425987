"""Every command of the README is one that exists, with flags and settings that are accepted."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from jobs.flags import config_of

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = "\n".join(re.findall(r"```(?:bash|console)\n(.*?)```", README, re.S)).replace("\\\n", " ")
JOBS = sorted(set(re.findall(r"python -m (jobs\.\w+[^\n|#&]*)", BLOCKS)) - {line for line in re.findall(r"python -m (jobs\.local[^\n]*)", BLOCKS)})


def test_there_is_something_to_check():
    assert {command.split()[0] for command in JOBS} >= {f"jobs.{name}" for name in ("synthesize", "train", "tune", "evaluate", "pipeline")}


@pytest.mark.parametrize("command", JOBS)
def test_the_flags_and_settings_of_a_job_are_accepted(command):
    module, *flags = shlex.split(command)
    config_of(import_module(module).parser().parse_args(flags))


@pytest.mark.parametrize("target", sorted(set(re.findall(r"^make (\w+)", BLOCKS, re.M))))
def test_a_make_target_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_a_linked_file_exists(path):
    assert (ROOT / path).exists()
