"""Every setting a person can make: its name, default, limits and help text, in this one place.

The command line, its help, its completion and the settings file (``--config``) are all made from these models, so none
of them can tell a different story. A value comes from the command line, else from the settings file, else from here.
"""

# No "from __future__ import annotations" here: pydantic evaluates the annotations at import.
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

from streamer.durations import parse_duration

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]
Decision = Literal["joint", "paper"]
Transport = Literal["tcp", "udp"]
Score = Literal["joint", "paper", "inpainter", "detector"]

LEARN_LONGEST_SECONDS = 60.0
"""Without ``--learn``, at most this much of a recording is learned from."""
LEARN_LARGEST_SHARE = 0.4
"""No more than this share of a recording is ever learned from: the rest is what the person came for."""
FIT_SECONDS = 900.0
"""Time given to the training of ``fit``, and of each scene of a benchmark, where neither a time nor steps are named."""

LEARNING = "Model and learning"
ALARMS = "Alarms"
OUTPUT = "Output"
LIVE = "Live cameras"
MACHINE = "Reading and computing"
CONSOLE = "Console"


@dataclass(frozen=True, slots=True)
class Opt:
    """How a setting looks on the command line.

    Attributes:
        group: the heading of the help it stands under.
        value: the placeholder of its value, e.g. ``SECONDS``; empty for a switch.
        short: one-letter form, e.g. ``-o``.
        default: words for the default where the value itself says too little.
        files: its value is a path, so the shell completes file names.
        name: the name in option and settings file where it is not the field's own.
    """

    group: str
    value: str = ""
    short: str = ""
    default: str = ""
    files: bool = False
    name: str = ""


Seconds = Annotated[float, BeforeValidator(parse_duration), Field(gt=0)]
"""A length of time in seconds; also read from ``90s``, ``1m30s``, ``01:30`` and ``00:01:30``."""


class Settings(BaseModel):
    """Common behaviour: frozen, no unknown names, no infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


def look_of(info: FieldInfo) -> Opt:
    """How the setting looks on the command line."""
    return next(item for item in info.metadata if isinstance(item, Opt))


def option_name(field: str, info: FieldInfo) -> str:
    """A setting's name in the settings file and, behind two dashes, on the command line."""
    return look_of(info).name or field.replace("_", "-")


def by_option_name(settings: Settings) -> dict[str, object]:
    """All values as plain JSON, by the names a settings file would use; this is what ``summary.json`` keeps.

    Those of live cameras are left out: they mean nothing elsewhere, and addresses of receivers may hold passwords.
    """
    values = settings.model_dump(mode="json")
    fields = type(settings).model_fields.items()
    return {option_name(field, info): values[field] for field, info in fields if look_of(info).group != LIVE}


class ConsoleSettings(Settings):
    """What is said, and where."""

    as_json: Annotated[bool, Opt(CONSOLE, name="json")] = Field(
        default=False, description="Print the summary on stdout as one line of JSON per source, and nothing else."
    )
    quiet: Annotated[bool, Opt(CONSOLE, short="-q")] = Field(default=False, description="Say nothing but errors.")
    verbose: Annotated[bool, Opt(CONSOLE, short="-v")] = Field(
        default=False, description="Also say what was chosen and why: window spacing, resolution, thresholds."
    )
    debug: Annotated[bool, Opt(CONSOLE)] = Field(default=False, description="Show the traceback behind an error.")

    @model_validator(mode="after")
    def _one_loudness(self) -> Self:
        if self.quiet and self.verbose:
            raise ValueError("--quiet and --verbose exclude each other: leave one out")
        return self


class MachineSettings(Settings):
    """How the networks are run."""

    device: Annotated[Device, Opt(MACHINE, value="auto|cpu|cuda")] = Field(
        default="auto", description="Where the networks run; auto takes a GPU where there is one."
    )
    precision: Annotated[Precision, Opt(MACHINE, value="TYPE")] = Field(
        default="auto",
        description="Arithmetic of the networks: float32, bfloat16, or auto, the faster of the two here.",
    )
    batch_size: Annotated[int | None, Opt(MACHINE, value="N", default="by device")] = Field(
        default=None, ge=1, le=4096, description="Windows per run of the networks."
    )
    seed: Annotated[int, Opt(MACHINE, value="N")] = Field(
        default=0, ge=0, lt=2**63, description="Seed of everything random while learning."
    )
    frame_rate: Annotated[float | None, Opt(MACHINE, value="FPS", default="10")] = Field(
        default=None,
        gt=0,
        le=1000,
        description="Pictures per second of folders of pictures and raw H.264, which do not say it themselves.",
    )


class WatchSettings(MachineSettings, ConsoleSettings):
    """Settings of ``avid-watch SOURCE...``."""

    model: Annotated[Path | None, Opt(LEARNING, value="FILE", default="learn from the source", files=True)] = Field(
        default=None, description="This camera's model, as written by 'avid-watch fit'; nothing is learned then."
    )
    learn: Annotated[Seconds | None, Opt(LEARNING, value="TIME", default="60s, at most 40 % of a recording")] = Field(
        default=None, description="Learn what is normal from this much of the source's beginning."
    )
    normal: Annotated[tuple[str, ...], Opt(LEARNING, value="FILE", files=True)] = Field(
        default=(), description="Learn from this normal footage of the same camera instead; may be given several times."
    )
    learn_budget: Annotated[Seconds, Opt(LEARNING, value="TIME")] = Field(
        default=45.0, description="Longest time the learning itself may take."
    )
    false_alarms_per_day: Annotated[float, Opt(ALARMS, value="X")] = Field(
        default=1.0, gt=0, le=86400, description="False events you accept per watched day; sets the threshold."
    )
    decision: Annotated[Decision, Opt(ALARMS, value="joint|paper")] = Field(
        default="joint",
        description="How both networks' maps become one: a soft joint score, or the paper's two thresholds.",
    )
    fail_on_alarm: Annotated[bool, Opt(ALARMS)] = Field(
        default=False, description="Exit with 1 when there were alarms."
    )
    output: Annotated[Path | None, Opt(OUTPUT, value="DIR", short="-o", default="here", files=True)] = Field(
        default=None, description="Folder in which each source gets its own folder NAME.avid."
    )
    name: Annotated[str | None, Opt(OUTPUT, value="NAME", default="the source's")] = Field(
        default=None, min_length=1, description="Name of the output folder, where there is one source."
    )
    force: Annotated[bool, Opt(OUTPUT)] = Field(default=False, description="Overwrite the results of an earlier run.")
    video: Annotated[bool, Opt(OUTPUT)] = Field(default=True, description="Do not write the annotated video.")
    show: Annotated[bool, Opt(OUTPUT)] = Field(default=False, description="Show the annotated pictures in a window.")
    realtime: Annotated[bool, Opt(LIVE)] = Field(
        default=False, description="Play recordings at the pace they were taken, as if they were live."
    )
    transport: Annotated[Transport, Opt(LIVE, value="tcp|udp")] = Field(
        default="tcp", description="How RTSP brings the stream."
    )
    max_reconnects: Annotated[int | None, Opt(LIVE, value="N", default="without end")] = Field(
        default=None, ge=0, description="Attempts to connect to a camera after the first."
    )
    learn_hours: Annotated[float, Opt(LIVE, value="HOURS")] = Field(
        default=24.0, ge=0, le=8760, description="A camera goes on learning so long; its alarms are provisional then."
    )
    record: Annotated[bool, Opt(LIVE)] = Field(
        default=False, description="Also record continuously, annotated, in segments of 10 minutes."
    )
    keep: Annotated[float, Opt(LIVE, value="DAYS")] = Field(
        default=30.0, gt=0, le=36500, description="Delete evidence older than this."
    )
    keep_bytes: Annotated[str, Opt(LIVE, value="SIZE")] = Field(
        default="50GB", min_length=1, description="Delete the oldest evidence from this much on, e.g. 50GB."
    )
    mqtt: Annotated[str | None, Opt(LIVE, value="URL")] = Field(
        default=None, min_length=1, repr=False, description="Publish alarms, scores and states: mqtt://user:pw@host."
    )
    webhook: Annotated[tuple[str, ...], Opt(LIVE, value="URL")] = Field(
        default=(), repr=False, description="Post every event to this address; may be given several times."
    )
    apprise: Annotated[tuple[str, ...], Opt(LIVE, value="URL")] = Field(
        default=(), repr=False, description="Send every event through this Apprise address; may be given several times."
    )
    metrics: Annotated[str | None, Opt(LIVE, value="[HOST:]PORT")] = Field(
        default=None,
        min_length=1,
        description="Serve /metrics and /healthz there, on this machine if no HOST is given.",
    )

    @model_validator(mode="after")
    def _one_place_to_learn_from(self) -> Self:
        if self.model is not None and (self.learn is not None or self.normal):
            other = "--normal" if self.normal else "--learn"
            raise ValueError(f"--model and {other} exclude each other: a model has already learned; leave one out")
        if self.learn is not None and self.normal:
            raise ValueError("--learn and --normal exclude each other: leave out the one not to learn from")
        return self

    @model_validator(mode="after")
    def _a_plain_name(self) -> Self:
        if self.name is not None and (Path(self.name).name != self.name or self.name in {".", ".."}):
            raise ValueError(f"--name {self.name!r} must be a plain name; the folder it stands in is set with --output")
        return self


class FitSettings(MachineSettings, ConsoleSettings):
    """Settings of ``avid-watch fit NORMAL... -o gate.avid``."""

    output: Annotated[Path, Opt(OUTPUT, value="FILE", short="-o", files=True)] = Field(
        description="The model file to write, e.g. gate.avid (required)."
    )
    force: Annotated[bool, Opt(OUTPUT)] = Field(default=False, description="Overwrite an existing model file.")
    loss_curve: Annotated[Path | None, Opt(OUTPUT, value="FILE", default="beside the model", files=True)] = Field(
        default=None, description="Where the picture of the losses is saved (PNG)."
    )
    preset: Annotated[str, Opt(LEARNING, value="NAME")] = Field(
        default="default",
        min_length=1,
        description="Named recipe: 'default' is ours, 'paper' the published one (others to compare: docs).",
    )
    seconds: Annotated[Seconds | None, Opt(LEARNING, value="TIME", default="15m")] = Field(
        default=None, description="Time for the training."
    )
    steps: Annotated[int | None, Opt(LEARNING, value="N")] = Field(
        default=None,
        ge=1,
        description="Train this many steps instead of a time: the same seed then gives the same weights.",
    )
    resume: Annotated[bool, Opt(LEARNING)] = Field(
        default=False, description="Go on where an interrupted fit left off."
    )
    false_alarms_per_day: Annotated[float, Opt(ALARMS, value="X")] = Field(
        default=1.0, gt=0, le=86400, description="False events per watched day that the model's own threshold allows."
    )

    @property
    def time_budget(self) -> float | None:
        """Seconds to train for; None where a number of steps was asked for."""
        if self.steps is not None:
            return None
        return self.seconds if self.seconds is not None else FIT_SECONDS

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if self.seconds is not None and self.steps is not None:
            raise ValueError("--seconds and --steps exclude each other: leave one out")
        return self


class TuneSettings(ConsoleSettings):
    """Settings of ``avid-watch tune RUN --false-alarms-per-day X``."""

    false_alarms_per_day: Annotated[float, Opt(ALARMS, value="X")] = Field(
        gt=0, le=86400, description="False events you accept per watched day (required)."
    )
    video: Annotated[bool, Opt(OUTPUT)] = Field(
        default=False, description="Also write the annotated video anew; needs the recording itself."
    )
    output: Annotated[Path | None, Opt(OUTPUT, value="DIR", short="-o", default="in RUN itself", files=True)] = Field(
        default=None, description="Write the new results into this folder."
    )
    force: Annotated[bool, Opt(OUTPUT)] = Field(
        default=False, description="Overwrite what already stands in that folder."
    )


class EvaluateSettings(MachineSettings, ConsoleSettings):
    """Settings of ``avid-watch evaluate DATASET PATH``."""

    detector: Annotated[str, Opt(LEARNING, value="NAME")] = Field(
        default="avid", min_length=1, description="What is evaluated: avid, or the baseline energy, without a network."
    )
    model: Annotated[Path | None, Opt(LEARNING, value="FILE", default="fit each scene", files=True)] = Field(
        default=None, description="Evaluate this model, as written by 'avid-watch fit'; nothing is fitted then."
    )
    preset: Annotated[str, Opt(LEARNING, value="NAME")] = Field(
        default="default",
        min_length=1,
        description="Named recipe: 'default' is ours, 'paper' the published one (others to compare: docs).",
    )
    time_budget: Annotated[Seconds | None, Opt(LEARNING, value="TIME", default="15m")] = Field(
        default=None, description="Time for the training of each scene."
    )
    steps: Annotated[int | None, Opt(LEARNING, value="N")] = Field(
        default=None,
        ge=1,
        description="Train this many steps instead of a time: the same seed then gives the same weights.",
    )
    seeds: Annotated[int, Opt(LEARNING, value="N")] = Field(
        default=1, ge=1, le=100, description="Fit every scene this many times, from --seed on; figures are means."
    )
    score: Annotated[Score, Opt(ALARMS, value="joint|paper|inpainter|detector")] = Field(
        default="joint",
        description="What is ranked: the joint score, the paper's two thresholds, or one network's share alone.",
    )
    look_ahead: Annotated[Seconds | None, Opt(ALARMS, value="TIME", default="not at all")] = Field(
        default=None,
        le=60,
        description="Let scores use so much of what follows, as most published figures do; alarms cannot wait for it.",
    )
    out: Annotated[Path | None, Opt(OUTPUT, value="DIR", short="-o", default="evaluation/DATASET", files=True)] = Field(
        default=None, description="Folder for results.json, results.md, the pictures and the cache to go on from."
    )
    docs: Annotated[Path | None, Opt(OUTPUT, value="FILE", files=True)] = Field(
        default=None, description="Also put the table into this record, in the place of an earlier one of this set."
    )

    @property
    def training_seconds(self) -> float | None:
        """Seconds to train each scene for; None where a number of steps was asked for."""
        if self.steps is not None:
            return None
        return self.time_budget if self.time_budget is not None else FIT_SECONDS

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if self.time_budget is not None and self.steps is not None:
            raise ValueError("--time-budget and --steps exclude each other: leave one out")
        return self

    @model_validator(mode="after")
    def _a_model_is_fitted_already(self) -> Self:
        if self.model is None:
            return self
        asked = {"--time-budget": self.time_budget is not None, "--steps": self.steps is not None}
        for option, given in {**asked, "--seeds": self.seeds > 1}.items():
            if given:
                raise ValueError(f"--model and {option} exclude each other: a model is fitted already; leave one out")
        return self

    @model_validator(mode="after")
    def _parts_are_those_of_avid(self) -> Self:
        if self.detector != "avid" and (self.score != "joint" or self.model is not None):
            other = "--model" if self.model is not None else f"--score {self.score}"
            raise ValueError(f"{other} is for --detector avid alone, not for {self.detector}: leave one out")
        return self


class InfoSettings(ConsoleSettings):
    """Settings of ``avid-watch info``."""


class CheckSettings(ConsoleSettings):
    """Settings of ``avid-watch check cameras.yaml``."""

    timeout: Annotated[Seconds, Opt(LIVE, value="TIME")] = Field(
        default=15.0, le=600, description="Longest wait for a camera's first picture."
    )
    measure: Annotated[Seconds, Opt(LIVE, value="TIME")] = Field(
        default=3.0, le=60, description="Its pictures are counted for this long."
    )


class RelearnSettings(ConsoleSettings):
    """Settings of ``avid-watch relearn NAME``."""

    output: Annotated[Path | None, Opt(OUTPUT, value="DIR", short="-o", default="here", files=True)] = Field(
        default=None, description="Folder in which the camera has its folder NAME.avid."
    )
