"""The pages a newcomer reads say what the program does: their commands, options, exit codes and links are checked."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from streamer.cli.exit_codes import MEANINGS
from streamer.settings import (
    CheckSettings,
    EvaluateSettings,
    FitSettings,
    InfoSettings,
    RelearnSettings,
    Settings,
    TuneSettings,
    WatchSettings,
    look_of,
    option_name,
)

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "samples" / "README.md", *sorted(ROOT.glob("docs/*.md"))]
COMMANDS: dict[str, type[Settings]] = {
    "watch": WatchSettings,
    "fit": FitSettings,
    "tune": TuneSettings,
    "info": InfoSettings,
    "evaluate": EvaluateSettings,
    "check": CheckSettings,
    "relearn": RelearnSettings,
}
OWN_OPTIONS = {"--config", "--help", "-h"}
PROGRAM_OPTIONS = {"--version", "--install-completion", "--show-completion"}

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


def readme_command(name: str) -> str:
    """The shell block behind a marker, as .ci/run reads it."""
    match = re.search(rf"^<!-- command: {name} -->\n```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert match is not None, f"README.md has no command marked {name!r}"
    return match[1].strip()


def options_of(command: str) -> set[str]:
    """All spellings of a command's options."""
    found = set(OWN_OPTIONS)
    for field, info in COMMANDS[command].model_fields.items():
        name = option_name(field, info)
        found |= {f"--{name}", look_of(info).short} - {""}
        if info.annotation is bool:
            found.add(f"--no-{name}")
    return found


def command_lines(text: str) -> list[str]:
    """Lines of code blocks, fenced or indented, that call the program."""
    without_prompt = (line.strip() for line in text.splitlines())
    return [line for line in without_prompt if line.startswith("avid-watch ")]


def anchors_of(page: Path) -> set[str]:
    """The anchors that headings get."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_the_first_command_installs_and_watches_the_sample_from_a_fresh_clone() -> None:
    venv, install, watch = readme_command("watch").split(" && ")
    assert venv == "python3 -m venv .venv"
    assert install == ".venv/bin/pip install ."
    program, source = watch.split()
    assert program == ".venv/bin/avid-watch"
    assert (ROOT / source).is_file()


def test_the_second_command_stands_on_its_own_and_runs_the_tests() -> None:
    assert readme_command("test") == (
        "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/python -m pytest"
    )


def test_the_ci_reads_the_commands_that_readme_marks() -> None:
    runner = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert set(re.findall(r"run_readme_command (\w+)", runner)) == {"watch", "test"}
    assert set(re.findall(r"<!-- command: (\w+) -->", README)) == {"watch", "test"}


def test_readme_opens_with_a_picture_and_the_commands() -> None:
    assert 0 < README.index("](docs/images/") < README.index("<!-- command: watch -->") < 1500


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_line_uses_options_its_command_has(page: Path) -> None:
    for line in command_lines(page.read_text(encoding="utf-8")):
        first = shlex.split(line)[1]
        command = first if first in COMMANDS else "watch"
        unknown = set(OPTION.findall(line.removeprefix("avid-watch"))) - options_of(command) - PROGRAM_OPTIONS
        assert not unknown, f"{line}: {command} has no {unknown}"


@pytest.mark.parametrize("page", PAGES[:1] + PAGES[3:], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_option_named_in_passing_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    # What belongs to other programs is not ours to check.
    others = re.compile(r"python3? -m|pip |apt-get|pytest|tests/benchmarks/")
    lines = [line for line in text.splitlines() if not others.search(line)]
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", "\n".join(lines)))
    known = PROGRAM_OPTIONS.union(*(options_of(command) for command in COMMANDS))
    assert named <= known


def test_the_exit_codes_are_those_of_the_program() -> None:
    table = README[README.index("| exit code |") :].split("\n\n")[0]
    documented = {int(code): text.strip() for code, text in re.findall(r"^\| (\d+) \| (.+) \|$", table, re.MULTILINE)}
    assert documented == {int(code): meaning for code, meaning in MEANINGS.items()}


def test_the_settings_file_shown_is_one_that_watching_reads(tmp_path: Path) -> None:
    from streamer.cli.settings_file import read_settings_file

    blocks = [body for language, body in FENCED.findall(README) if language == "yaml"]
    assert blocks
    for body in blocks:
        path = tmp_path / "settings.yaml"
        path.write_text(body, encoding="utf-8")
        read = read_settings_file(path, WatchSettings)
        WatchSettings.model_validate(read.values)
        assert len(read.values) == len(yaml.safe_load(body))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.name}: {target} does not exist"
        assert ROOT in [linked, *linked.parents], f"{page.name}: {target} leads out of the project"
        if anchor:
            assert anchor in anchors_of(linked), f"{page.name}: {path or page.name} has no heading for #{anchor}"


def test_every_output_file_is_in_readme() -> None:
    from streamer.sinks import run_folder

    names = [value for name, value in vars(run_folder).items() if name.isupper() and isinstance(value, str)]
    files = {name for name in names if re.fullmatch(r"[a-z]+(\.[a-z0-9]+|/)?", name)}
    assert files
    assert all(name in README for name in files), files
