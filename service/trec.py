"""An evaluation for other people's tools: TREC runs and the qrels that they are judged by."""

from collections.abc import Iterator
from pathlib import Path

from recommender.evaluation import Outcomes
from service.export import trec_word

QRELS = "qrels.txt"


def write_trec_files(outcomes: Outcomes, folder: Path) -> int:
    """<protocol>.<system>.run for each of them, and qrels.txt; returns the number of files.

    TREC tools order by score: the score written is 1 / rank. Spaces in ids are percent-encoded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / QRELS).write_text("".join(_qrels(outcomes)), encoding="utf-8")
    written = 1
    for protocol, systems in outcomes.runs.items():
        for system in systems:
            lines = "".join(_run(outcomes, protocol, system))
            (folder / f"{protocol}.{system}.run").write_text(lines, encoding="utf-8")
            written += 1
    return written


def _qrels(outcomes: Outcomes) -> Iterator[str]:
    for own in outcomes.judged:
        for target in outcomes.truth[own]:
            yield f"{trec_word(own)} 0 {trec_word(target)} 1\n"


def _run(outcomes: Outcomes, protocol: str, system: str) -> Iterator[str]:
    for own, found in zip(outcomes.judged, outcomes.runs[protocol][system], strict=True):
        for rank, target in enumerate(found, 1):
            yield f"{trec_word(own)} Q0 {trec_word(target)} {rank} {1 / rank:.6f} {system}\n"
