"""Who may import whom (docs: "Who may import whom"), read off the syntax trees without importing anything."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Anyone may import these; they import only one another.
GROUND = {"errors", "config", "presets", "fingerprint", "storage", "audio", "progress"}
FLOW = ("lexicon", "voices", "corpus", "acoustic", "decoding", "training", "tuning", "evaluation")
EARLIER = {part: set(FLOW[:i]) for i, part in enumerate(FLOW)}
GROUND_ONLY = {part: set() for part in (*GROUND, "cluster", "local_ray")}
MAY_IMPORT = {
    **GROUND_ONLY,
    **EARLIER,
    # Serving needs the model folder and this alone: no speech synthesis, no corpus.
    "recognition": {"lexicon", "acoustic", "decoding"},
    "evaluation": EARLIER["evaluation"] | {"recognition", "cluster"},
    "training": EARLIER["training"] | {"cluster"},
    "tuning": EARLIER["tuning"] | {"cluster"},
    "corpus": EARLIER["corpus"] | {"cluster"},
    "pipeline": {*FLOW, "recognition", "cluster", "local_ray"},
    "__main__": {"recognition", "lexicon", "acoustic", "decoding"},
    "": set(),  # drugasr/__init__.py
}
SERVE_MAY_IMPORT = GROUND | {"recognition", "lexicon", "acoustic", "decoding", "cluster", "local_ray"}
# What training reads of the corpus is its files, by the schema; what it makes itself is augmented clips.
CORPUS_FOR_TRAINING = (
    "drugasr.corpus.schema", "drugasr.corpus.reading", "drugasr.corpus.manifest", "drugasr.corpus.augmentation", "drugasr.corpus.background",
)  # fmt: skip
RAY_HERE = (
    "drugasr.corpus.synthesis", "drugasr.corpus.rate_limit", "drugasr.training.distributed", "drugasr.training.prefix_building", "drugasr.training.cpu_tasks", "drugasr.tuning.room", "drugasr.tuning.search", "drugasr.tuning.searcher", "drugasr.tuning.trainable", "drugasr.tuning.results",
    "drugasr.evaluation.batch", "drugasr.evaluation.listening", "drugasr.cluster", "drugasr.pipeline", "jobs", "jobs.*", "serve", "serve.*",
)  # fmt: skip
TORCH_HERE = ("drugasr.acoustic*", "drugasr.training*", "drugasr.recognition", "drugasr.evaluation.recognisers*")
# Importing these, and all that they import while being imported, loads no torch: nodes that synthesise never do.
NO_TORCH_WHEN_IMPORTED = ("drugasr.pipeline", "drugasr.lexicon*", "drugasr.voices*", "drugasr.corpus*", "drugasr.decoding*")
RAY_INIT_HERE = ("jobs", "jobs.*", "tests.conftest")
MAX_LINES = 300
MAX_JOB_LINES = 60


@dataclass(frozen=True, kw_only=True)
class Import:
    target: str
    """The module, as far as it is ours, else the dotted name."""
    line: int
    at_import: bool
    """Whether it happens when the file is imported: not in a function, not for type checkers alone."""


class Tree:
    """The Python files of `root` under some top folders, as modules with their imports."""

    def __init__(self, root: Path, *folders: str):
        self.paths = {self._name(path.relative_to(root)): path for folder in folders for path in sorted((root / folder).rglob("*.py"))}
        self.trees = {name: ast.parse(path.read_text(), str(path)) for name, path in self.paths.items()}
        # Modules and the folders around them, for a package need not have an __init__.py.
        self.packages = {name.rsplit(".", i)[0] for name in self.trees for i in range(name.count(".") + 1)}
        self.imports = {name: list(self._imports(name)) for name in self.trees}

    @staticmethod
    def _name(path: Path) -> str:
        parts = path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def _imports(self, module: str) -> Iterator[Import]:
        late = {id(inner) for node in ast.walk(self.trees[module]) if _is_late(node) for inner in ast.walk(node)}
        for node in ast.walk(self.trees[module]):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                package = module.split(".") if self.paths[module].name == "__init__.py" else module.split(".")[:-1]
                base = package[: len(package) - node.level + 1] if node.level else []
                names = [".".join(filter(None, [*base, node.module, alias.name])) for alias in node.names]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
                names = [str(argument.value) for argument in node.args[:1] if isinstance(argument, ast.Constant)]
            for name in names:
                yield Import(target=self._module_of(name), line=node.lineno, at_import=id(node) not in late)

    def _module_of(self, name: str) -> str:
        """`drugasr.storage.join` is in module `drugasr.storage`; names from elsewhere stay as they are."""
        whole = name
        while name and name not in self.packages:
            name = name.rpartition(".")[0]
        return name or whole

    def reached(self, module: str, *, at_import_only: bool) -> set[str]:
        """All modules that `module` imports, its imports import, and so on, with the packages they lie in."""
        found, waiting = set(), [module]
        while waiting:
            name = waiting.pop()
            parents = [name.rsplit(".", i)[0] for i in range(name.count(".") + 1)]
            for inner in parents:
                if inner not in found:
                    found.add(inner)
                    waiting += [i.target for i in self.imports.get(inner, ()) if i.at_import or not at_import_only]
        return found


def violations(root: Path) -> list[str]:
    """Every breach of the rules under `root`, each as `module:line: what`."""
    tree, found = Tree(root, "drugasr", "jobs", "serve"), []
    for module, imports in tree.imports.items():
        found += [f"{module}:{i.line}: {problem}" for i in imports for problem in _import_problems(module, i)]
        found += [f"{module}:{node.lineno}: something happens at import" for node in tree.trees[module].body if not _is_definition(node)]
        num_lines = len(tree.paths[module].read_text().splitlines())
        limit = MAX_JOB_LINES if module.startswith("jobs.") else MAX_LINES
        if num_lines > limit:
            found.append(f"{module}:{num_lines}: longer than {limit} lines")
        if _matches(module, NO_TORCH_WHEN_IMPORTED):
            loaded = {name for name in tree.reached(module, at_import_only=True) if _top(name) in ("torch", "transformers")}
            found += [f"{module}:1: importing it loads {name}" for name in sorted(loaded)]
    allowed = GROUND | {"recognition", ""} | MAY_IMPORT["recognition"]
    for name in sorted(tree.reached("drugasr.recognition", at_import_only=False) if "drugasr.recognition" in tree.trees else ()):
        if _top(name) == "drugasr" and _part(name) not in allowed:
            found.append(f"drugasr.recognition:1: it reaches {name}")
    for module, syntax in Tree(root, "drugasr", "serve", "tests").trees.items():
        if not _matches(module, RAY_INIT_HERE):
            found += [f"{module}:{node.lineno}: ray.init" for node in ast.walk(syntax) if _is_ray_init(node)]
    return found


def _import_problems(module: str, imported: Import) -> Iterator[str]:
    target, ours = _top(imported.target), _top(module)
    if target in ("drugasr", "jobs", "serve") and target != ours:
        if ours == "drugasr" or target != "drugasr":
            yield f"{ours} imports {target}"
        elif ours == "serve" and _part(imported.target) not in SERVE_MAY_IMPORT | {""}:
            yield f"serve imports {imported.target}"
    if ours == target == "drugasr":
        importer, part = _part(module), _part(imported.target)
        if part not in GROUND | {importer, ""} | MAY_IMPORT.get(importer, set()):
            yield f"{importer or 'drugasr/__init__.py'} imports {imported.target}, against the flow"
        if importer in ("training", "tuning") and (part == "voices" or part == "corpus" and imported.target not in CORPUS_FOR_TRAINING):
            yield f"{importer} imports {imported.target}: it may read the corpus, not build it"
    if target == "ray" and not _matches(module, RAY_HERE):
        yield "ray is out of place"
    if target in ("torch", "transformers") and not _matches(module, TORCH_HERE):
        if module != "drugasr.pipeline" or imported.at_import:
            yield f"{target} is out of place"


def _top(module: str) -> str:
    return module.split(".")[0]


def _part(module: str) -> str:
    """`lexicon` for drugasr.lexicon.drug, "" for drugasr itself."""
    return module.split(".")[1] if "." in module else ""


def _matches(module: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(module, pattern) for pattern in patterns)


def _is_late(node: ast.AST) -> bool:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or _guard(node) == "TYPE_CHECKING"


def _guard(node: ast.AST) -> str | None:
    """What an `if` at the top of a file asks: "TYPE_CHECKING", "__name__", or None for anything else."""
    if isinstance(node, ast.If) and not node.orelse:
        test = ast.unparse(node.test)
        return {"TYPE_CHECKING": "TYPE_CHECKING", "typing.TYPE_CHECKING": "TYPE_CHECKING", "__name__ == '__main__'": "__name__"}.get(test)
    return None


def _is_definition(node: ast.stmt) -> bool:
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return isinstance(node, kinds) or is_docstring or _guard(node) is not None


def _is_ray_init(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "ray" and any(alias.name == "init" for alias in node.names)
    return isinstance(node, ast.Attribute) and node.attr == "init" and isinstance(node.value, ast.Name) and node.value.id == "ray"


def test_the_house_keeps_its_rules():
    found = violations(ROOT)
    assert not found, "\n".join(["", *found])


# One planted breach each: the file, its text, and a word of the complaint.
BREACHES = [
    ("drugasr/lexicon/drug.py", "from drugasr.voices import voice", "against the flow"),
    ("drugasr/lexicon/drug.py", "from drugasr import voices", "against the flow"),
    ("drugasr/lexicon/drug.py", "from ..voices.voice import Voice", "against the flow"),
    ("drugasr/lexicon/drug.py", "def f():\n    import drugasr.tuning.search", "against the flow"),
    ("drugasr/errors.py", "from drugasr.lexicon import drug", "against the flow"),
    ("drugasr/cluster.py", "from drugasr.corpus import schema", "against the flow"),
    ("drugasr/recognition.py", "import drugasr.corpus.schema", "against the flow"),
    ("drugasr/acoustic/model.py", "import drugasr.corpus.schema", "recognition:1: it reaches drugasr.corpus.schema"),
    ("drugasr/training/loop.py", "from drugasr.corpus.plan import make", "not build it"),
    ("drugasr/training/loop.py", "from drugasr.corpus import synthesis", "not build it"),
    ("drugasr/tuning/search.py", "from drugasr.voices.voice import Voice", "not build it"),
    ("drugasr/audio.py", "import jobs.train", "drugasr imports jobs"),
    ("jobs/train.py", "from serve import app", "jobs imports serve"),
    ("serve/app.py", "import jobs.train", "serve imports jobs"),
    ("serve/app.py", "from drugasr.voices.voice import Voice", "serve imports drugasr.voices"),
    ("drugasr/decoding/trie.py", "import ray", "ray is out of place"),
    ("drugasr/training/loop.py", "def f():\n    from ray import train", "ray is out of place"),
    ("drugasr/tuning/report.py", "import importlib\nx = importlib.import_module('ray.tune')", "ray is out of place"),
    ("drugasr/voices/voice.py", "import torch", "torch is out of place"),
    ("drugasr/decoding/trie.py", "import torch.nn", "torch is out of place"),
    ("drugasr/evaluation/metrics.py", "from transformers import pipeline", "transformers is out of place"),
    ("drugasr/pipeline.py", "import torch", "torch is out of place"),
    ("drugasr/pipeline.py", "from drugasr.training.loop import train", "importing it loads torch"),
    ("drugasr/corpus/synthesis.py", "import ray\nray.init()", "ray.init"),
    ("serve/app.py", "from ray import init", "ray.init"),
    ("tests/test_x.py", "import ray\ndef test(): ray.init()", "ray.init"),
    ("drugasr/audio.py", "print('hello')", "something happens"),
    ("drugasr/audio.py", "for x in (): pass", "something happens"),
    ("drugasr/audio.py", "try:\n    import av\nexcept ImportError:\n    av = None", "something happens"),
    ("drugasr/audio.py", "x = 1\n" * 301, "longer than 300"),
    ("jobs/train.py", "x = 1\n" * 61, "longer than 60"),
]
SOUND = {
    "drugasr/__init__.py": '"""drugasr"""\n__version__ = "1"',
    "drugasr/errors.py": "class E(Exception): pass",
    "drugasr/audio.py": "from drugasr.errors import E\nx: int = 1\n'what x is'",
    "drugasr/cluster.py": "import ray\nfrom drugasr import errors",
    "drugasr/lexicon/drug.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy",
    "drugasr/voices/voice.py": "from drugasr.lexicon.drug import Drug",
    "drugasr/corpus/schema.py": "from ..errors import E",
    "drugasr/corpus/plan.py": "from drugasr.voices import voice",
    "drugasr/corpus/synthesis.py": "import ray\nfrom drugasr.corpus.plan import make",
    "drugasr/acoustic/model.py": "import torch",
    "drugasr/decoding/trie.py": "import numpy",
    "drugasr/training/loop.py": "import torch\nfrom drugasr.corpus import schema\nfrom drugasr.acoustic.model import load",
    "drugasr/tuning/search.py": "from ray import tune",
    "drugasr/tuning/report.py": "def f():\n    print('fine in here')",
    "drugasr/evaluation/metrics.py": "import jiwer",
    "drugasr/evaluation/recognisers_hub.py": "import transformers\nfrom drugasr.recognition import Recognizer",
    "drugasr/recognition.py": "import torch\nfrom drugasr.acoustic.model import load",
    "drugasr/pipeline.py": "def run():\n    from drugasr.training.loop import train\n    import torch",
    "jobs/train.py": "import ray\nfrom drugasr import pipeline\nif __name__ == '__main__':\n    ray.init()",
    "serve/app.py": "from ray import serve\nfrom drugasr.recognition import Recognizer\napp = object()",
    "tests/conftest.py": "import ray\ndef f(): ray.init()",
}


def _plant(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


def test_a_sound_tree_passes(tmp_path):
    assert violations(_plant(tmp_path, SOUND)) == []


@pytest.mark.parametrize(("file", "text", "complaint"), BREACHES)
def test_a_planted_breach_is_caught(tmp_path, file, text, complaint):
    assert any(complaint in problem for problem in violations(_plant(tmp_path, SOUND | {file: text})))
