"""What one writes in an afternoon: FastAPI, `transformers.pipeline`, and the names nearest to its text by Levenshtein distance.

    python -m benchmarks.serving_peer MODEL TIER PORT
"""

import io
import sys
from typing import Annotated, Any

import soundfile
import uvicorn
from fastapi import Depends, FastAPI, Request
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein
from transformers import pipeline

from drugasr.lexicon.reading import read_lexicon


def create_app(model: str, tier: str) -> FastAPI:
    app = FastAPI()
    transcriber = pipeline("automatic-speech-recognition", model=model)
    names = [drug.spoken for drug in read_lexicon(tier).drugs]

    async def body(request: Request) -> bytes:
        return await request.body()

    @app.post("/v1/recognize")
    def recognize(clip: Annotated[bytes, Depends(body)]) -> dict[str, Any]:  # FastAPI runs it in one of its 40 threads
        wave_S, rate_hz = soundfile.read(io.BytesIO(clip), dtype="float32")
        text = transcriber({"raw": wave_S, "sampling_rate": rate_hz})["text"].lower()
        return {"text": text, "alternatives": [name for name, *_ in process.extract(text, names, scorer=Levenshtein.distance, limit=5)]}

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[1], sys.argv[2]), host="127.0.0.1", port=int(sys.argv[3]), log_level="error")
