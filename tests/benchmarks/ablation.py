"""What each part of AVID is worth: the same set, one seed, with parts left out or exchanged.

    python tests/benchmarks/ablation.py UCSDped2                  # five minutes of training a row: about three hours
    python tests/benchmarks/ablation.py UCSDped2 --steps 450 --rows energy default mean
    python tests/benchmarks/ablation.py UCSDped2 --rows paper     # its networks score about one picture a second

Every row is a run of ``avid-watch evaluate`` with the options that stand beside it; I alone, D alone, the paper's rule
and the joint score are rankings by one and the same model. Runs that are there already are not repeated, and one that
was interrupted goes on. The table is printed, and written to ``ablation.md`` with the figures in ``ablation.json``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ("frame_auc", "frame_eer", "pixel_auc", "pixel_eer", "rbdc", "tbdc")
TITLES = ("frame AUC", "frame EER", "pixel AUC", "pixel EER", "RBDC", "TBDC")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Attributes:
        model: rows of the same name share one model, and the folder it lies in.
        what: in words.
        options: of ``avid-watch evaluate``.
        trained: whether there is anything to train.
    """

    model: str
    what: str
    options: tuple[str, ...] = ()
    trained: bool = True


ROWS = (
    Row("energy", "energy of the differences, no network", ("--detector", "energy"), trained=False),
    Row("default", "I alone", ("--score", "inpainter")),
    Row("default", "D alone", ("--score", "detector")),
    Row("default", "I and D by the paper's rule", ("--score", "paper")),
    Row("default", "our joint score"),
    Row("mean", "ours on the paper's `mean` channels", ("--preset", "mean")),
    Row("detector-64", "ours with the paper's D, read at 64x64", ("--preset", "detector-64")),
    Row("detector-112", "the same at 112x112", ("--preset", "detector-112")),
    Row("detector-224", "the same at 224x224", ("--preset", "detector-224")),
    Row("paper", "the paper's recipe as a whole", ("--preset", "paper")),
)


def main() -> None:
    """Run what is missing, then write the table of what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="the set, in its published layout")
    parser.add_argument("--dataset", default="ucsd-ped2")
    parser.add_argument("--rows", nargs="+", choices=list(dict.fromkeys(row.model for row in ROWS)), metavar="MODEL")
    parser.add_argument("--time-budget", default="5m", help="training of each model")
    parser.add_argument("--steps", type=int, help="train so many steps instead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    options = parser.parse_args()
    lines, figures = [], []
    for row in ROWS:
        kept = options.out / f"{row.model}-{row.what.replace(' ', '-').replace('`', '')}.json"
        if not kept.is_file() and (options.rows is None or row.model in options.rows):
            run(row, options)
            kept.write_bytes((options.out / row.model / "results.json").read_bytes())
        if kept.is_file():
            results = json.loads(kept.read_text(encoding="utf-8"))
            lines.append(line_of(row, results))
            figures.append({"row": row.what, "options": row.options, "metrics": results["metrics"]})
    table = "\n".join([f"| what | {' | '.join(TITLES)} | training |", "|---" * (len(TITLES) + 2) + "|", *lines])
    print(f"\n{table}")
    (options.out / "ablation.md").write_text(table + "\n", encoding="utf-8")
    (options.out / "ablation.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def run(row: Row, options: argparse.Namespace) -> None:
    """One evaluation; the models of a folder are kept in its cache."""
    budget = [] if not row.trained else ["--steps", str(options.steps)]
    if row.trained and options.steps is None:
        budget = ["--time-budget", options.time_budget]
    folder = options.out / row.model
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "streamer.cli", "evaluate", options.dataset, str(options.path.resolve())]
    command += [*row.options, *budget, "--seed", str(options.seed), "--out", str(folder.resolve())]
    print(f"{row.what} ...", file=sys.stderr, flush=True)
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)


def line_of(row: Row, results: dict[str, object]) -> str:
    """A row of the table; figures that the set does not have are left open."""
    metrics, seconds = results["metrics"], results["training_seconds"]
    if not isinstance(metrics, dict) or not isinstance(seconds, float | int):
        raise TypeError(f"{row.what}: not the results of an evaluation")
    shown = [f"{100 * metrics[name]:.1f} %" if name in metrics else "-" for name in FIGURES]
    name = " ".join(row.options)
    trained = f"{seconds:.0f} s" if row.trained else "-"
    return f"| {row.what}{f' (`{name}`)' if name else ''} | {' | '.join(shown)} | {trained} |"


if __name__ == "__main__":
    main()
