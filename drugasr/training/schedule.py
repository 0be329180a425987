"""The tri-stage learning rate of fairseq's CTC recipes (wav2vec 2.0, section 4.2; HuBERT, section IV)."""

from drugasr.config import TrainingConfig


def lr_factor(step: int, num_steps: int, config: TrainingConfig) -> float:
    """Learning rate of `step` (from 0) relative to the peak: linear warm-up, hold, exponential decay."""
    num_warmup = max(1, round(config.warmup_fraction * num_steps))
    num_hold = round(config.hold_fraction * num_steps)
    if step < num_warmup:
        return (step + 1) / num_warmup
    if step < num_warmup + num_hold:
        return 1.0
    num_decay = max(1, num_steps - num_warmup - num_hold)
    progress = min(1.0, (step - num_warmup - num_hold + 1) / num_decay)
    return config.final_lr_fraction**progress
