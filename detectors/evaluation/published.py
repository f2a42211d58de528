"""Published figures of others, to stand beside measured ones; only figures that were read in a source are here.

Where a paper and a table of someone else disagree, the row says whose figure it is. Frame-level AUC is micro (one ROC
over all frames) unless the row says otherwise. RBDC and TBDC are left out: they depend on the tracks they are counted
with, and the official ones are not ours.
"""

from __future__ import annotations

from dataclasses import dataclass

PED1, PED2, UMN, AVENUE, SHANGHAITECH = "ucsd-ped1", "ucsd-ped2", "umn", "avenue", "shanghaitech"

_TABLE = "a public table of results"
_ALOCC = "table 2 of ALOCC (CVPR 2018)"
_HINDAWI = "table 3 of Hindawi WCMC 2021/5540201"


@dataclass(frozen=True, slots=True)
class PublishedFigure:
    """One figure of one paper.

    Attributes:
        method: short name with year or venue.
        dataset: as on the command line.
        metric: its key among our metrics, ``frame_auc`` or ``frame_eer``.
        value: a fraction.
        source: where it was read.
        note: what a reader must know to compare; may be empty.
    """

    method: str
    dataset: str
    metric: str
    value: float
    source: str
    note: str = ""


# Method, source, then frame-level AUC in % by set: Ped2, Avenue, ShanghaiTech; None where none was seen.
_AUC_ROWS: tuple[tuple[str, str, float | None, float | None, float | None, str], ...] = (
    ("STAE (2017)", "PyAnomaly model zoo", 91.2, 77.1, None, "re-run: 90.1, 75.2"),
    ("Future Frame Prediction (CVPR 2018)", _TABLE, 95.4, 85.1, 72.8, "re-run: 93.9, 86.7, 69.9"),
    ("MemAE (ICCV 2019)", "PyAnomaly", 94.1, 83.3, 71.2, "re-run: 92.3, 82.9, 70.0"),
    ("Object-centric AE (CVPR 2019)", _TABLE, 94.3, 87.4, 78.7, "micro; printed as 97.8, 90.4, 84.9"),
    ("AnoPCN (2019)", _TABLE, 96.8, 86.2, 73.6, ""),
    ("MNAD, prediction (CVPR 2020)", "anhhuu/anodetection-aemem", 97.0, 88.5, None, "retrained there: 94.0, 83.0"),
    ("OGNet (CVPR 2020)", "its abstract", 98.1, None, None, "patch-based"),
    ("VEC (ACM MM 2020)", "its repository", 97.3, 90.2, 74.8, "object detector and optical flow"),
    ("HF2-VAD (ICCV 2021)", "its repository", 99.3, 91.1, 76.2, ""),
    ("SSMTL (CVPR 2021)", "AED-SSMTL README", 97.5, 91.5, 82.4, "micro; macro 99.8, 91.9, 89.3"),
    ("FastAno (WACV 2022)", "wizwand", 96.3, 85.3, 72.2, ""),
    ("Jigsaw-VAD (ECCV 2022)", "wizwand", 99.0, 92.2, 84.3, ""),
    ("EVAL (CVPR 2023)", "paperswithcode", None, 86.02, 76.63, ""),
    ("AI-VAD (2022)", "its repository", 99.1, 93.7, 85.9, ""),
    ("SSAE (TPAMI 2024)", "Awesome-VAD, wizwand", None, 90.2, 80.5, ""),
    ("AED-MAE (CVPR 2024)", _TABLE, 95.4, 91.3, 79.1, ""),
    ("MULDE, object-centric (CVPR 2024)", "sotaverified", None, 94.3, 86.7, "frame-centric on ShanghaiTech: 81.3"),
    ("MSTL (CVPR 2024)", "Awesome-VAD", None, 94.3, 87.5, ""),
    ("MPT (ACM MM 2024)", "Awesome-VAD", None, 94.5, 88.6, ""),
    ("SMAMS (Electronics 2024)", "its abstract", 99.9, 94.8, 78.9, ""),
    ("FEAD (2025)", "its abstract", 98.4, 87.1, 75.6, "light optical flow"),
)

_PED2_EER: tuple[tuple[str, float], ...] = (
    ("IBC", 13.0),
    ("MPCCA", 30.0),
    ("MDT", 24.0),
    ("Sabokrou et al. (2015)", 19.0),
    ("AMDN (2017)", 17.0),
    ("Deep-cascade (2017)", 9.0),
    ("ALOCC, D(X) (2018)", 16.0),
    ("ALOCC, D(R(X)) (2018)", 13.0),
)

_UMN: tuple[tuple[str, float | None, float], ...] = (
    ("TCP", 3.2, 0.987),
    ("Motion energy", 4.2, 0.988),
    ("ST-CNN", 3.8, 0.997),
    ("WCMC 2021/5540201", 3.2, 0.991),
)
_UMN_PROTOCOL = "protocols on UMN differ from paper to paper: no official split"


def published_figures(dataset: str) -> tuple[PublishedFigure, ...]:
    """Figures of others on one set, highest frame AUC first; empty where none was seen."""
    found = [figure for figure in _ALL if figure.dataset == dataset]
    return tuple(sorted(found, key=lambda figure: (figure.metric, -figure.value)))


def _from_tables() -> list[PublishedFigure]:
    figures = []
    for method, source, ped2, avenue, shanghaitech, note in _AUC_ROWS:
        for dataset, value in ((PED2, ped2), (AVENUE, avenue), (SHANGHAITECH, shanghaitech)):
            if value is not None:
                figures.append(PublishedFigure(method, dataset, "frame_auc", round(value / 100, 6), source, note))
    figures += [PublishedFigure(method, PED2, "frame_eer", value / 100, _ALOCC) for method, value in _PED2_EER]
    for method, eer, auc in _UMN:
        figures.append(PublishedFigure(method, UMN, "frame_auc", auc, _HINDAWI, _UMN_PROTOCOL))
        if eer is not None:
            figures.append(PublishedFigure(method, UMN, "frame_eer", round(eer / 100, 6), _HINDAWI, _UMN_PROTOCOL))
    figures.append(PublishedFigure("HAJJv2 hybrid", UMN, "frame_auc", 0.9977, "its abstract", _UMN_PROTOCOL))
    figures.append(
        PublishedFigure(
            "AVID's own code, by a reader",
            PED1,
            "frame_eer",
            0.5,
            "issue 5 of AVID's repository",
            "about chance, with changes of the reader's; no figure of the paper itself was seen",
        )
    )
    return figures


_ALL = tuple(_from_tables())
