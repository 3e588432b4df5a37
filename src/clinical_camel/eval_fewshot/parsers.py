"""The parser of each protocol that generates replies: which option is the answer?"""

from collections.abc import Callable, Sequence

from clinical_camel.eval_fewshot.exact_match import parse_exact
from clinical_camel.eval_fewshot.replies import parse_letter, parse_medalpaca

PARSERS: dict[str, Callable[[str, Sequence[str]], int]] = {
    "letter": parse_letter,
    "medalpaca": parse_medalpaca,
    "exact": parse_exact,
}
