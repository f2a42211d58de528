"""What ``pip install .`` installs: the wheel holds all the program needs, and nothing of the tree around it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("preprocess", "detectors", "streamer")
AROUND = ("samples", "tests", "docs")
LEAST_SETUPTOOLS = 77


def setuptools_is_missing() -> bool:
    """Whether there is no setuptools that can build this project without fetching anything."""
    try:
        return int(metadata.version("setuptools").split(".")[0]) < LEAST_SETUPTOOLS
    except metadata.PackageNotFoundError:
        return True


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the tree: building leaves folders behind."""
    if setuptools_is_missing():
        pytest.skip(f"building the wheel needs setuptools {LEAST_SETUPTOOLS} or later: install the extra 'test'")
    tree = tmp_path_factory.mktemp("tree")
    litter = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*_cache")
    for name in (*PACKAGES, *AROUND):
        shutil.copytree(ROOT / name, tree / name, ignore=litter)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    built = subprocess.run(
        [sys.executable, "-c", "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert built.returncode == 0, built.stderr
    (path,) = (tree / "dist").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    """Files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_base_model(names: set[str]) -> None:
    assert "detectors/weights/base.avid" in names


def test_the_wheel_holds_the_schemas_of_the_outputs(names: set[str]) -> None:
    schemas = {str(path.relative_to(ROOT)) for path in (ROOT / "streamer" / "schemas").glob("*.json")}
    assert schemas
    assert schemas <= names


def test_the_wheel_says_that_its_packages_are_typed(names: set[str]) -> None:
    assert {f"{package}/py.typed" for package in PACKAGES} <= names


def test_the_wheel_holds_every_module_and_data_file_of_the_packages(names: set[str]) -> None:
    there = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert there - names == set()


def test_the_wheel_holds_nothing_but_the_packages_and_their_description(names: set[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_the_wheel_brings_the_licence(names: set[str]) -> None:
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_from_any_directory_the_installed_command_finds_its_base_model(wheel: Path, tmp_path: Path) -> None:
    installed, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    script = (
        "import detectors; print(detectors.__file__)\n"
        "from detectors.scene_model import SceneModel; print(SceneModel.base().header.detector)"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    file, detector = run.stdout.split()
    assert Path(file).is_relative_to(installed)
    assert detector == "avid"


def test_the_command_leads_to_the_command_line() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    module, function = scripts["avid-watch"].split(":")
    assert callable(getattr(__import__(module, fromlist=[function]), function))


def test_model_files_are_not_taken_for_output_folders() -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    weights = subprocess.run(
        ["git", "check-ignore", "--no-index", "detectors/weights/base.avid"], cwd=ROOT, check=False, capture_output=True
    )
    output = subprocess.run(
        ["git", "check-ignore", "--no-index", "walkway.avid/"], cwd=ROOT, check=False, capture_output=True
    )
    assert (weights.returncode, output.returncode) == (1, 0)
