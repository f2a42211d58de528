"""The shape of the house: imports go one way, files are rooms, and nothing stands at the top that does not belong."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("preprocess", "detectors", "streamer", "samples")
MAY_IMPORT = {
    "preprocess": {"preprocess"},
    "detectors": {"detectors", "preprocess"},
    "streamer": {"streamer", "detectors", "preprocess"},
    "samples": set(PACKAGES),
}
LONGEST_FILE = 450
AT_THE_TOP = {
    ".ci",
    ".gitattributes",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "detectors",
    "docs",
    "preprocess",
    "pyproject.toml",
    "samples",
    "streamer",
    "tests",
}
BUILT_FOR_OTHERS = {"torch", "torchvision"}  # what preprocess, which knows no network, must do without


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(source: str, own_package: str = "") -> set[str]:
    """First names of all modules a source imports, wherever the import stands; relative ones are its own package."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(own_package if node.level else (node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package: str) -> None:
    assert sources(package)
    wrong = {
        str(path.relative_to(ROOT)): sorted(backwards)
        for path in sources(package)
        if (backwards := (imported(path.read_text(), package) & {*PACKAGES, "tests"}) - MAY_IMPORT[package])
    }
    assert wrong == {}


def test_preprocessing_knows_no_network() -> None:
    wrong = [str(path) for path in sources("preprocess") if imported(path.read_text()) & BUILT_FOR_OTHERS]
    assert wrong == []


def test_imports_are_found_wherever_they_stand() -> None:
    source = "import a.b, c\nif x:\n    from d.e import f\ndef g():\n    from . import h\n    import i as j\n"
    assert imported(source, "own") == {"a", "c", "d", "own", "i"}


def test_no_file_is_longer_than_a_room() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for package in (*PACKAGES, "tests")
        for path in sources(package)
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_every_file_says_in_its_first_lines_why_it_exists() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in sources(package)
        if path.read_text().strip() and ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert silent == []


def test_nothing_stands_at_the_top_but_what_belongs_there() -> None:
    """What git keeps counts; build outputs it ignores do not."""
    told = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if told.returncode:
        pytest.skip("not a git checkout")
    assert {name.split("/")[0] for name in told.stdout.split("\0") if name} <= AT_THE_TOP
