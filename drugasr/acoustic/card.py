"""The model card of a folder."""

import json
from collections.abc import Mapping
from typing import Any


def model_card(facts: Mapping[str, Any]) -> str:
    """Model card with a `model-index`, so that Hugging Face tools show the metrics."""
    metrics = facts.get("metrics", {})
    listed = "".join(f"    - type: {name}\n      value: {value}\n" for name, value in sorted(metrics.items()) if name in ("cer", "wer", "top1", "top5"))
    return (
        "---\nlibrary_name: transformers\npipeline_tag: automatic-speech-recognition\nlanguage: en\nmodel-index:\n- name: drugasr\n  results:\n"
        "  - task:\n      type: automatic-speech-recognition\n    dataset:\n      type: drugasr\n      name: spoken drug names (validation voices)\n"
        f"    metrics:\n{listed}---\n# Spoken drug names\n\nA CTC model of drugasr, fine-tuned on synthetic speech. Load it with\n"
        '`transformers.pipeline("automatic-speech-recognition", model=FOLDER)` or `drugasr.recognition.Recognizer.from_dir(FOLDER, lexicon)`.\n\n'
        f"```json\n{json.dumps(facts, indent=2, sort_keys=True)}\n```\n"
    )
