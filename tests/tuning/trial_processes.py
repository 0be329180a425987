"""Trials as the operating system sees them: processes below the raylets of a cluster's nodes."""

from contextlib import suppress

import psutil


def trial_on(node):
    """The process in which a trial trains on a node of `ray.cluster_utils.Cluster`, or None."""
    with suppress(psutil.NoSuchProcess):
        for worker in psutil.Process(node.all_processes["raylet"][0].process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # it ends while we look
                if "ImplicitFunc.train" in " ".join(worker.cmdline()):
                    return worker
    return None


def find_trial(cluster):
    """A process in which a trial trains, and its node, or None: between two trials there is none for a moment."""
    for node in cluster.list_all_nodes():
        if worker := trial_on(node):
            return worker, node
    return None
