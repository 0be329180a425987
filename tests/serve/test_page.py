"""The page in headless Chromium, whose microphone hears a file: hold, speak, look at five candidates, confirm."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from test_api import ANSWER, FakeRecognizer

from benchmarks.spoken_names import speak
from drugasr import audio
from drugasr.decoding.answer import Word
from drugasr.lexicon.reading import read_lexicon
from serve.api import create_api
from serve.tokens import _digest

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")

SURE = replace(ANSWER, confidence=0.97, needs_review=False, review_reasons=(), words=(Word(word="hydroxizine", start=0.1, end=0.9, confidence=0.9),))
TOKEN = "a-token-of-many-letters"


@pytest.fixture(scope="module")
def spoken_wav(tmp_path_factory):
    """One name and a pause; Chromium plays it again and again."""
    ((_, wave_S),) = speak(read_lexicon("quick50"), 1)
    file = tmp_path_factory.mktemp("microphone") / "spoken.wav"
    file.write_bytes(audio.encode_wav(np.pad(wave_S, (1600, 8000))))
    return file


@pytest.fixture(scope="module")
def browser(spoken_wav):
    with playwright.sync_playwright() as driver:
        flags = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={spoken_wav}"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def recognizer():
    return FakeRecognizer()


@pytest.fixture(scope="module")
def url(recognizer, listening):
    with listening(create_api(recognizer)) as address:
        yield address


@pytest.fixture
def page(browser, url, recognizer):
    recognizer.error, recognizer.answer = None, ANSWER
    context = browser.new_context(permissions=["microphone"])
    page = context.new_page()
    complaints = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    page.complaints, page.asked = complaints, asked
    yield page
    context.close()


def hold_and_speak(page):
    page.locator("#talk").hover()
    page.mouse.down()
    playwright.expect(page.locator("#talk-label")).to_have_text("Listening", timeout=20_000)
    page.wait_for_timeout(1200)
    with page.expect_response("**/v1/recognize*"):
        page.mouse.up()
    playwright.expect(page.locator("#result")).to_be_visible(timeout=20_000)


def test_speak_choose_confirm(page, url, recognizer):
    hold_and_speak(page)
    # What reached the recogniser is what the microphone heard: about as long, and not silent.
    assert 0.8 < len(recognizer.wave_S) / 16_000 < 8 and np.abs(recognizer.wave_S).max() > 0.02
    assert page.locator(".candidate").count() == 5
    assert page.locator("#warning").is_visible() and page.locator("#confirm").is_disabled()
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    assert page.locator("#outcome").inner_text() == "Confirmed: hydralazine"
    assert {re.match(r"https?://[^/]+|blob", address)[0] for address in page.asked if not address.startswith("data:")} <= {url, "blob"}
    assert page.complaints == []


def test_a_sure_answer_is_chosen_beforehand_and_may_be_confirmed_or_rejected(page, recognizer):
    recognizer.answer = SURE
    hold_and_speak(page)
    assert page.locator("#warning").is_hidden()
    assert page.locator(".candidate[aria-checked=true] .name").inner_text() == "hydroxyzine"
    page.keyboard.press("Enter")  # the focus is still on the button that was held
    assert page.locator("#outcome").inner_text() == "Confirmed: hydroxyzine"
    hold_and_speak(page)
    page.keyboard.press("0")
    assert page.locator("#outcome").inner_text().startswith("None of these")
    assert page.locator("#confirm").is_disabled()


def test_a_file_and_an_error(page, recognizer, spoken_wav, tmp_path):
    page.locator("#file").set_input_files(spoken_wav)
    playwright.expect(page.locator("#result")).to_be_visible(timeout=20_000)
    nonsense = tmp_path / "notes.wav"
    nonsense.write_bytes(b"nonsense")
    page.locator("#file").set_input_files(nonsense)
    playwright.expect(page.locator("#status")).to_contain_text("cannot decode", timeout=20_000)
    assert page.locator("#result").is_hidden()


def test_a_token_is_asked_for_and_the_clip_sent_again(browser, listening, recognizer, spoken_wav):
    recognizer.error, recognizer.answer = None, ANSWER
    with listening(create_api(recognizer, tokens=[_digest(TOKEN)])) as address:
        page = browser.new_page()
        page.goto(address)
        page.locator("#file").set_input_files(spoken_wav)
        playwright.expect(page.locator("#key")).to_be_visible(timeout=20_000)
        page.locator("#token").fill(TOKEN)
        page.keyboard.press("Enter")
        playwright.expect(page.locator("#result")).to_be_visible(timeout=20_000)
        page.close()


def test_everything_has_a_name_for_those_who_do_not_see(page):
    hold_and_speak(page)
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, canvas')].filter(e => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)).length"
    )
    assert unnamed == 0
    assert page.evaluate("document.documentElement.lang") == "en"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(browser, url, scheme):
    """Text stands out from its ground by 4.5 to 1 at least, as WCAG 2.1 AA wants."""
    page = browser.new_page(color_scheme=scheme)
    page.goto(url)
    colours = page.evaluate(
        "(() => { const s = getComputedStyle(document.documentElement);"
        "return Object.fromEntries(['--ground','--card','--text','--quiet','--accent','--on-accent','--soft','--warn-ground','--warn-text','--bad','--good','--good-ground']"
        ".map(n => [n, s.getPropertyValue(n).trim()])); })()"
    )
    page.close()
    pairs = [
        ("--text", "--ground"), ("--text", "--card"), ("--quiet", "--ground"), ("--quiet", "--card"), ("--quiet", "--soft"), ("--text", "--soft"),
        ("--on-accent", "--accent"), ("--warn-text", "--warn-ground"), ("--bad", "--card"), ("--good", "--good-ground"), ("--card", "--bad"),
    ]  # fmt: skip
    poor = {(text, ground): _contrast(colours[text], colours[ground]) for text, ground in pairs if _contrast(colours[text], colours[ground]) < 4.5}
    assert poor == {}


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
