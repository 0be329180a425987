"""Paths that mean the same on the driver and on every worker."""

import os

from drugasr.errors import InputError


def location_of(flag: str, value: str) -> str:
    """An absolute path or a URI. Raises InputError for a relative path in a copy that Ray will delete."""
    if "://" in value:
        return value.rstrip("/")
    path = os.path.expanduser(value)
    if not os.path.isabs(path) and "/working_dir_files/" in f"{os.getcwd()}/":
        raise InputError(f"--{flag} {value} is relative, and a submitted job runs in a temporary copy of the folder: give an absolute path or a URI")
    return os.path.abspath(path)
