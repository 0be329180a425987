import json
import stat
from dataclasses import replace

from test_api import ANSWER

from drugasr.decoding.answer import Dose
from serve.audit import AuditLog


def test_a_line_an_answer_without_what_was_heard(tmp_path):
    log = AuditLog(str(tmp_path / "audit"))
    log.answered(ANSWER)
    log.refused("empty_audio")
    log.answered(replace(ANSWER, drug=None, dose=Dose(value=2.5, unit="mg")))
    (file,) = (tmp_path / "audit").iterdir()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["drug"], line["dose"], line["needs_review"]) for line in lines] == [("hydroxyzine", None, True), (None, "2.5 mg", True)]
    assert ANSWER.text not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
