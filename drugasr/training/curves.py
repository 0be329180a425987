"""The course of a training as files beside its checkpoints: TensorBoard events, and a plot."""

import io
import tempfile
from pathlib import Path

from matplotlib.figure import Figure
from tensorboardX import SummaryWriter

from drugasr import storage

PLOT_FILE = "curves.png"
EVENTS_FILE = "tensorboard/events.out.tfevents.0.drugasr"


class Curves:
    """Writes both anew, whole, after each epoch: they may lie on an object store, where nothing can be appended to."""

    def __init__(self, run_uri: str) -> None:
        self._run_uri = run_uri
        self._epochs: dict[float, dict[str, float]] = {}

    def add(self, metrics: dict[str, float]) -> None:
        """The metrics of an epoch; those of a checkpoint within one are passed over."""
        if "score" not in metrics:
            return
        self._epochs[metrics["epoch"]] = metrics
        epochs = [self._epochs[number] for number in sorted(self._epochs)]
        storage.write_bytes(storage.join(self._run_uri, PLOT_FILE), draw(epochs))
        storage.write_bytes(storage.join(self._run_uri, EVENTS_FILE), _events(epochs))


def draw(epochs: list[dict[str, float]]) -> bytes:
    """PNG: losses on the left; CER, top-1 and top-5 of the validation voices on the right."""
    figure = Figure(figsize=(9, 3.4), layout="constrained", dpi=120)
    numbers = [metrics["epoch"] for metrics in epochs]
    sides = ((("train_loss", "training"), ("loss", "validation")), (("cer", "CER"), ("top1", "top-1"), ("top5", "top-5")))
    for axes, title, lines in zip(figure.subplots(1, 2), ("CTC loss, nats a symbol", "Validation voices"), sides, strict=True):
        for name, label in lines:
            axes.plot(numbers, [metrics[name] for metrics in epochs], marker="o", markersize=3, label=label)
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.2)
        axes.legend(frameon=False)
    figure.axes[1].set_ylim(0, 1.02)
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return png.getvalue()


def _events(epochs: list[dict[str, float]]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        with SummaryWriter(folder) as writer:
            for metrics in epochs:
                for name, value in metrics.items():
                    writer.add_scalar(name, value, int(metrics["epoch"]))
        return next(Path(folder).iterdir()).read_bytes()
