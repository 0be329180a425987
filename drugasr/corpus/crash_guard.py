"""A text that crashes its engine takes the process with it: find it, and leave it out the next time."""

from collections import Counter

from drugasr import storage

_MAX_DEATHS = 2  # one may be anybody's: a node that went, a process short of memory


class CrashGuard:
    """Notes beside the corpus which clip is being made, in a file that only a process that died leaves behind.

    The first process on a shard notes no more than that it is at work; whoever finds its note makes a note for every
    clip, and a clip at which two such processes died is deadly.
    """

    def __init__(self, note_uri: str) -> None:
        self._uri = note_uri
        self._is_careful = storage.exists(note_uri)
        note = storage.read_json(note_uri) if self._is_careful else {"trying": "", "deaths": {}}
        self._deaths = Counter(note["deaths"])
        if note["trying"]:
            self._deaths[note["trying"]] += 1
        self._write("")

    def is_deadly(self, clip_id: str) -> bool:
        return self._deaths[clip_id] >= _MAX_DEATHS

    def trying(self, clip_id: str) -> None:
        if self._is_careful:
            self._write(clip_id)

    def survived(self) -> None:
        """The shard is written."""
        storage.delete_file(self._uri)

    def _write(self, clip_id: str) -> None:
        storage.write_json(self._uri, {"trying": clip_id, "deaths": self._deaths})
