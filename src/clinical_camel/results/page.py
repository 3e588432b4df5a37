"""The findings as Markdown: for the notebook in full, for README.md in a few lines."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import PurePath

import pandas as pd

from clinical_camel.core.paths import root
from clinical_camel.results.contrasts import format_contrasts
from clinical_camel.results.controlled import describe_causes
from clinical_camel.results.effect import assess_effect, assess_forms
from clinical_camel.results.forgetting import FORGETS, assess_forgetting
from clinical_camel.results.forms import EXAM
from clinical_camel.results.further import (
    assess_published,
    assess_real_model,
    assess_writer,
)
from clinical_camel.results.notes import assess_notes
from clinical_camel.results.rewards import assess_rewards
from clinical_camel.results.settings import Results
from clinical_camel.results.sources import Finding, Number, Pair, find_result
from clinical_camel.results.sweeps import assess_sweeps
from clinical_camel.results.transfer import assess_transfer
from clinical_camel.results.wording import (
    join,
    join_counts,
    show_chance,
    show_points,
    show_share,
    show_value,
)

FIGURE = "forms"  # file name of Figure 1
ALT = (
    "Accuracy of the base model and of models tuned on raw articles and on dialogues, with 95 % "
    "intervals and the chance line, in each question form"
)
READING = (
    "Brackets are 95 % intervals over diseases or questions, and over seeds where there are "
    "several; with one training, another seed may lie outside. A difference is *significant* if "
    "its p is below 0.05 after Holm's adjustment. The intervals are not adjusted, so one may "
    "exclude 0 although the difference is not significant. Differences are computed before "
    "rounding. *Ways of asking*: plain text (`option_text`), conversation or options listed "
    "(`chat`), each without and with examples; the published exams also in two formats of "
    "lm-evaluation-harness, `harness_2023` and `harness_now`. *Seed*: one set of random choices."
)
CAPTION = (
    "Correct answers of the shipped model by question form, before tuning and after tuning on raw "
    "articles or on dialogues. Bars: 95 % intervals. Dashed: guessing."
)


def collect_findings(settings: Results) -> list[Finding]:
    """Return all findings, in the order of the page; those that have not run yet too.

    Raises Incomplete for a table that is not as its run wrote it.
    """
    real = assess_real_model(settings)
    same_question = [finding for finding in real if finding.name == "real_control"]
    return [
        assess_effect(settings),
        *same_question,
        assess_forms(settings),
        assess_transfer(settings),
        assess_writer(settings),
        *assess_sweeps(settings),
        assess_forgetting(settings),
        assess_notes(settings),
        *(finding for finding in real if finding not in same_question),
        *assess_rewards(settings),
        assess_published(settings),
    ]


def format_page(
    findings: Sequence[Finding], form: str, base: str = "", is_short: bool = False
) -> str:
    """Return how to read the numbers, the tables, and the findings with their sources, numbered.

    Last comes what has not run yet. `form`: the main question form, in words. `base`: what leads
    from the page to the project folder, such as "../../". A short page has the headline and the
    brief of each finding only.
    """
    contrasts = [contrast for finding in findings for contrast in finding.contrasts]
    tables = [format_contrasts(contrasts, form), format_pairs(findings, 1 + bool(contrasts))]
    reading = READING if any(f.is_run for f in findings) else ""
    return "\n\n".join(filter(None, [reading, *tables, _list_findings(findings, base, is_short)]))


def _list_findings(findings: Sequence[Finding], base: str, is_short: bool) -> str:
    done = [finding for finding in findings if finding.is_run]
    lines = []
    for i, finding in enumerate(done, start=1):
        details = [finding.lead, *finding.sentences, _link(finding, base)]
        parts = [f"{i}. **{finding.headline}.**", *([finding.brief] if is_short else details)]
        lines.append(" ".join(filter(None, parts)))
    missing = [finding.headline for finding in findings if not finding.is_run]
    if missing:
        lines.append(f"{len(lines) + 1}. **Not run, or not finished:** {join(missing)}.")
    return "\n".join(lines)


def format_pairs(findings: Sequence[Finding], number: int) -> str:
    """Return the table of the pairs of models that findings compare; "" for none."""
    pairs = [finding.pair for finding in findings if finding.pair]
    if not pairs:
        return ""
    header = ["A minus B (training steps)", "base model", "A", "B", "A minus B, in points"]
    rows = [[*header, "p (comparisons)", "significant"], ["---"] * 7]
    rows += [_format_pair(pair) for pair in pairs]
    shares = [number for pair in pairs for number in pair.scores]
    caption = (
        f"**Table {number}.** Correct answers in % to {join_counts(shares)} questions, asked in "
        f"{pairs[0].form} without examples; {show_chance(shares)}. One training of each model"
        + ("; Table 1 has several." if number > 1 else ".")
        + " p is adjusted for all comparisons of its study (their number in brackets)."
    )
    return "\n".join([*(f"| {' | '.join(row)} |" for row in rows), "", caption])


def _format_pair(pair: Pair) -> list[str]:
    """Return the cells of a row of the table of single trainings."""
    base = [number for number in pair.scores if number.quantity not in pair.names]
    first, second = (
        next(number for number in pair.scores if number.quantity == name) for name in pair.names
    )
    steps = " and ".join(f"{count:,}" for count in pair.steps)
    p = "below 0.001" if pair.p < 0.001 else f"{pair.p:.2g}"
    return [
        f"{f'{pair.base}: ' if pair.base else ''}{' minus '.join(pair.names)}"
        f"{f' ({steps})' if steps else ''}",
        *(show_share(number).replace(" %", "") for number in [*base[:1], first, second]),
        show_points(pair.difference).replace(" points", ""),
        f"{p} ({pair.comparisons})",
        f"{pair.significant} of {pair.ways} ways",
    ]


def _link(finding: Finding, base: str) -> str:
    """Return links to the tables of a finding and to the settings that made them."""
    tables = [f"[{PurePath(table).stem}]({base}{table})" for table in finding.places]
    settings = [f"[settings]({base}{file})" for file in dict.fromkeys(finding.places.values())]
    return f"({', '.join([*tables, *settings])})" if tables else ""


def list_numbers(findings: Sequence[Finding]) -> pd.DataFrame:
    """Return every number of the page: a row each, with n, interval, chance and source."""
    rows = [{"finding": f.name} | asdict(number) for f in findings for number in f.numbers]
    return pd.DataFrame(rows, columns=["finding", *(field.name for field in fields(Number))])


def format_numbers(findings: Sequence[Finding], base: str = "") -> str:
    """Return every number as a Markdown table: with interval, n, chance, and links to its source.

    `base`: as in `format_page`.
    """
    header = ["finding", "number", "value [95 % interval]", "n", "chance", "trainings", "source"]
    rows = [
        [
            finding.name,
            number.quantity,
            show_value(number),
            f"{number.n:,} {number.items}",
            "" if pd.isna(number.chance) else f"{100 * number.chance:.3g} %",
            str(number.seeds),
            f"[{PurePath(number.table).stem}]({base}{number.table}), "
            f"[settings]({base}{number.params})",
        ]
        for finding in findings
        for number in finding.numbers
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows])


def describe_meaning(findings: Sequence[Finding]) -> list[str]:
    """Return what the results mean, in sentences: only what the findings carry."""
    by_name = {finding.name: finding for finding in findings}
    lines = [
        "The exam tests memory: its correct answers are phrases of the articles. A higher score "
        "shows that a model recognises them more often, not that it can state the fact or reasons "
        "better.",
    ]
    if by_name["forms"].is_run:
        lines.append(
            "Scores depend on how a question is asked: the model that is better in one form need "
            "not be better in another."
        )
    if by_name["forgetting"].headline.startswith(FORGETS):
        lines.append("A score on the new texts alone hides what the model has forgotten.")
    return lines


def describe_limits(settings: Results) -> list[str]:
    """Return what the results do not show, in sentences."""
    return [*describe_causes(settings), *_describe_scope(settings)]


def _describe_scope(settings: Results) -> list[str]:
    """Return what the dialogues, the models and the articles are, as limits of all findings."""
    return [
        "Rules wrote the dialogues, by copying sentences, except where they are said to be by a "
        "language model (a large one; its name was not recorded). Where no base model is named, it "
        f"has {_count_parameters(settings)}; larger models may behave differently.",
        "No clinician has reviewed the articles, and no number is about patients.",
    ]


def _count_parameters(settings: Results) -> str:
    result = find_result(settings.control, EXAM)
    parameters = result.record["notes"].get("parameters", 0) if result else 0
    return f"{parameters / 1e6:.1f} million parameters" if parameters else "few parameters"


def format_headline(findings: Sequence[Finding]) -> str:
    """Return the first headline, and how many further findings there are."""
    done = [finding.headline for finding in findings if finding.is_run]
    further, missing = len(done) - 1, len(findings) - len(done)
    parts = [done[0] if done else "nothing has been run"]
    more = "more findings" if further > 1 else "more finding"
    parts += [f"{further} {more}"] * (further > 0)
    parts += [f"{missing} not run, or not finished"] * (missing > 0)
    return "; ".join(parts)


# ----------------------------------------------------------------------------------------- README


def format_readme(settings: Results) -> str:
    """Return the results in README.md: findings in brief, figure, meaning, the main limits."""
    findings = collect_findings(settings)
    means, limits = " ".join(describe_meaning(findings)), " ".join(_describe_scope(settings))
    parts = [
        format_page(findings, settings.main_form, is_short=True),
        *_show_figure(settings),
        f"**What it means.** {means}",
        f"**What it does not show.** {limits} {_link_notebook(settings)}",
    ]
    return "\n\n".join(parts)


def _link_notebook(settings: Results) -> str:
    """Return a link to the executed notebook, or to the one without outputs."""
    executed = f"outputs/{settings.study}/00_results.ipynb"
    place = executed if (root() / executed).is_file() else "notebooks/00_results.ipynb"
    return f"More limits, and all numbers with intervals and sources: [notebook 00]({place})."


def _show_figure(settings: Results) -> Iterator[str]:
    """Yield Figure 1 and its caption, once this step has run."""
    figure = f"outputs/{settings.study}/00_results/{FIGURE}.png"
    if (root() / figure).is_file():
        yield f"![{ALT}]({figure})\n**Figure 1.** {CAPTION}"
