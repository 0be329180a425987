"""The audit log, which only `audit_folder` turns on: what was answered, for who must be able to say later what the machine said.

A line of JSON an answer, in a file for each day and process. It holds the drug, which may be a fact about a patient, but no
sound and no transcript; who may read the folder, and for how long it is kept, is for its owner to settle.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from drugasr.decoding.answer import Recognition

_OWNER_ALONE = 0o600


class AuditLog:
    """An `Observer`; it writes beside another one's counting."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)

    def answered(self, recognition: Recognition) -> None:
        now = datetime.now(UTC)
        line = {
            "time": now.isoformat(timespec="milliseconds"),
            "drug": recognition.drug,
            "dose": None if recognition.dose is None else f"{recognition.dose.value:g} {recognition.dose.unit}",
            "confidence": round(recognition.confidence, 4),
            "needs_review": recognition.needs_review,
            "review_reasons": list(recognition.review_reasons),
            "duration_s": round(recognition.duration_s, 2),
            "model": recognition.model,
            "lexicon": recognition.lexicon,
        }
        # Appended in one write: a line is whole or not there, whoever else writes and whenever the process ends.
        data = (json.dumps(line) + "\n").encode()
        file = os.open(self._folder / f"{now:%Y-%m-%d}-{os.getpid()}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, _OWNER_ALONE)
        try:
            os.write(file, data)
        finally:
            os.close(file)

    def refused(self, code: str) -> None:
        pass  # nothing was answered
