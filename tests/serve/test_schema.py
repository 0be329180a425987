"""The interface keeps what its OpenAPI document promises: schemathesis draws requests from it, sound and unsound, and checks the answers."""

import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from test_api import FakeRecognizer, tone

from serve.api import create_api

# No schema can say what audio is: where a binary is wanted, sound clips are drawn.
CLIPS = st.sampled_from([tone(), tone(0.3)])
schemathesis.openapi.format("binary", CLIPS)
for media_type in ("audio/wav", "audio/flac", "audio/mpeg", "audio/ogg", "audio/mp4", "audio/aac", "audio/webm", "application/octet-stream"):
    schemathesis.openapi.media_type(media_type, CLIPS)

schema = schemathesis.openapi.from_asgi("/openapi.json", create_api(FakeRecognizer()))


@schema.parametrize()
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_answers_are_as_the_document_says(case):
    fields = case.body if isinstance(case.body, dict) else {}
    if "timestamp_granularities[]" in fields and fields.get("response_format") != "verbose_json":
        # The document forbids it by `dependentSchemas`, which are no part of what the drawing of requests understands.
        assert 400 <= case.call().status_code < 500
    else:
        case.call_and_validate()
