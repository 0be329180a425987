from drugasr import storage
from drugasr.corpus.crash_guard import CrashGuard


def work(uri, clips, dies_at=None):
    """A process on a shard: the clips that it made, or None if it died."""
    guard, made = CrashGuard(uri), []
    for clip in clips:
        if not guard.is_deadly(clip):
            guard.trying(clip)
            if clip == dies_at:
                return None
            made.append(clip)
    guard.survived()
    return made


def test_the_clip_that_kills_again_and_again_is_left_out_and_no_other(tmp_path):
    uri = f"{tmp_path}/.note"
    assert [work(uri, "abcd", dies_at="c") for _ in range(4)] == [None, None, None, ["a", "b", "d"]]
    assert not storage.exists(uri)
    assert work(uri, "abcd") == ["a", "b", "c", "d"]  # another day, another chance


def test_who_is_killed_from_outside_loses_nothing(tmp_path):
    uri = f"{tmp_path}/.note"
    assert [work(uri, "abcd", dies_at=clip) for clip in ("a", "b", "c")] == [None, None, None]
    assert work(uri, "abcd") == ["a", "b", "c", "d"]


def test_two_deadly_clips_are_both_found(tmp_path):
    uri = f"{tmp_path}/.note"
    deaths = [work(uri, "abcd", dies_at=clip) for clip in ("b", "b", "b", "d", "d")]
    assert deaths == [None] * 5
    assert work(uri, "abcd") == ["a", "c"]
