import dataclasses

import pytest

from drugasr import cluster, storage
from drugasr.errors import CapacityError, StorageError


def on(config, **cluster):
    return dataclasses.replace(config, cluster=dataclasses.replace(config.cluster, **cluster))


@pytest.mark.usefixtures("local_ray")
class TestCapacity:
    def test_what_fits_passes(self, tiny):
        cluster.check_stages(tiny)

    def test_too_many_workers_are_refused_with_the_arithmetic(self, tiny):
        with pytest.raises(CapacityError, match=r"100 workers does not fit: 90 CPU needed, 4 in the cluster"):
            cluster.check_training(on(tiny, num_workers=100))

    def test_gpus_that_are_not_there_are_refused(self, tiny):
        with pytest.raises(CapacityError, match="one training worker does not fit: 1 GPU needed, 0 in the cluster"):
            cluster.check_training(on(tiny, gpus_per_worker=1.0))

    def test_tasks_that_augment_on_the_fly_count_too(self, tiny):
        config = on(tiny, num_workers=2, cpus_per_worker=1.5, cpus_per_task=1.0)
        cluster.check_training(config)
        augmenting = dataclasses.replace(config, training=dataclasses.replace(config.training, augmentation="light"))
        with pytest.raises(CapacityError, match=r"2 workers of 1\.5 CPU, and as many .* = 1 for .*does not fit: 5 CPU needed, 4 in"):
            cluster.check_training(augmenting)
        cluster.check_training(on(augmenting, cpus_per_task=0.5))

    def test_a_worker_larger_than_every_node_is_refused(self, tiny, monkeypatch):
        node = {"Alive": True, "Resources": {"CPU": 2.0}}
        monkeypatch.setattr(cluster.ray, "nodes", lambda: [node, node])
        with pytest.raises(CapacityError, match="one training worker needs 3 CPU on one node, and the largest has 2 CPU"):
            cluster.check_training(on(tiny, num_workers=1, cpus_per_worker=3.0))


@pytest.mark.usefixtures("local_ray")
class TestStorage:
    def test_a_good_folder_is_left_as_it_was(self, tmp_path):
        cluster.check_storage(str(tmp_path))
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_cannot_be_made_is_refused(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageError, match="cannot write"):
            cluster.check_storage(str(tmp_path / "file" / "storage"))

    def test_a_node_that_sees_other_files_is_named(self, tmp_path, monkeypatch):
        """The driver writes the probe where no node looks, as with a folder that is not shared."""
        monkeypatch.setattr(storage, "write_bytes", lambda uri, data: None)
        monkeypatch.setattr(storage, "delete_file", lambda uri: None)
        with pytest.raises(StorageError, match=r"node [0-9.]+ cannot use the storage .*every node shares"):
            cluster.check_storage(str(tmp_path))
