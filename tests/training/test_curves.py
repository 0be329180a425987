"""The curves of a training, read back by other code than wrote them."""

import io
import struct

import matplotlib.image
from tensorboardX.proto.event_pb2 import Event

from drugasr.training.curves import EVENTS_FILE, PLOT_FILE, Curves

EPOCHS = [
    {"epoch": epoch, "score": 0.5, "train_loss": 3.0 / epoch, "loss": 3.5 / epoch, "cer": 0.9 / epoch, "top1": 0.1 * epoch, "top5": 0.2 * epoch}
    for epoch in (1, 2, 3)
]


def scalars(data):
    """(tag, step) -> value of every record: length, its CRC, the event, its CRC (TFRecord)."""
    found = {}
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + length])
        found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
        data = data[16 + length :]
    return found


def test_plot_and_events_hold_every_epoch(tmp_path):
    curves = Curves(str(tmp_path))
    for metrics in [*EPOCHS, EPOCHS[0]]:  # a resumed training tells its history again
        curves.add(metrics)
    curves.add({"epoch": 3, "step": 7})  # a checkpoint within an epoch
    events = scalars((tmp_path / EVENTS_FILE).read_bytes())
    assert len(events) == 3 * len(EPOCHS[0])
    for metrics in EPOCHS:
        for name, value in metrics.items():
            assert abs(events[name, metrics["epoch"]] - value) < 1e-6
    picture = matplotlib.image.imread(io.BytesIO((tmp_path / PLOT_FILE).read_bytes()))
    assert picture.shape[:2] == (408, 1080)
    assert picture[..., :3].std() > 0.05
