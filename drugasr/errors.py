"""Every error that drugasr raises on purpose.

DrugasrError              something went wrong; exit code 1
├── InputError            what the user gave is wrong; exit code 2
│   ├── ConfigError       a setting has a wrong name, type or range
│   ├── LexiconError      the list of names is missing, empty or has bad rows
│   ├── RecordingError    the list of recordings is missing, empty or has bad rows
│   ├── AudioError        a clip cannot be decoded, or is empty, too short or too long
│   ├── VoiceError        a voice is unknown, or its engine is not installed
│   └── ModelError        a model cannot be found, loaded or used for this task
├── VoiceFailure          an engine failed on one text; recorded for that row alone
├── CapacityError         the request does not fit the cluster
├── StorageError          a location cannot be read or written
├── CorpusError           the corpus is missing, incomplete or fails its quality threshold
└── TrainingError         training cannot go on (no usable clip, no checkpoint)
    └── DivergedError     the loss is no longer a number
"""


class DrugasrError(Exception):
    """Base of every deliberate error. `exit_code` is what a job ends with."""

    exit_code = 1


class InputError(DrugasrError):
    exit_code = 2


class ConfigError(InputError):
    pass


class LexiconError(InputError):
    pass


class RecordingError(InputError):
    pass


class AudioError(InputError):
    pass


class VoiceError(InputError):
    pass


class ModelError(InputError):
    pass


class VoiceFailure(DrugasrError):
    def __init__(self, message: str, tries: int = 1) -> None:
        super().__init__(message)
        self.tries = tries
        """How often the engine was asked before it was given up."""


class CapacityError(DrugasrError):
    pass


class StorageError(DrugasrError):
    pass


class CorpusError(DrugasrError):
    pass


class TrainingError(DrugasrError):
    pass


class DivergedError(TrainingError):
    pass


def deliberate(error: BaseException | None) -> DrugasrError | None:
    """The error of ours inside whatever Ray wrapped around it, if there is one."""
    while error is not None and not isinstance(error, DrugasrError):
        error = getattr(error, "cause", None) or error.__cause__
    return error
