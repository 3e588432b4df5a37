"""Which option does a reply name? A table of replies; -1 is unread, which counts as incorrect."""

import time

import pytest

from clinical_camel.eval_fewshot import parse_letter, parse_medalpaca
from clinical_camel.eval_fewshot.replies import UNREAD

GOUT = ["Colchicine", "Allopurinol", "Ibuprofen", "Prednisolone"]
HEART = ["aspirin", "a beta blocker", "warfarin", "low-dose aspirin"]
ANSWERS = ["yes", "no", "maybe"]
LETTERS_IN_TEXT = ["Hepatitis A", "Hepatitis B", "Vitamin D", "B cells"]
DOSES = ["5 mg", "0.5 mg", "50 mg", "-5 mg"]
GERMS = ["C. difficile", "E. coli", "S. aureus", "D. none"]
NINE = [*"pqrstuvw", "xx"]


def rows(options, option, *replies):
    return [pytest.param(reply, options, option, id=ascii(reply)[:60]) for reply in replies]


# ------------------------------------------------------------------------------- in what wrapping

WRAPPED = [
    *rows(
        GOUT, 1, "\\boxed{B}", "$\\boxed{B}$", "\\boxed{b}", "\\boxed{\\text{B}}", "\\boxed{(B)}"
    ),
    *rows(
        GOUT, 1, "The final answer is: $\\boxed{B}$", "Urate.\n\n\\boxed{\\text{B}}", "Answer: $B$"
    ),
    *rows(
        GOUT, 1, "$\\boxed{\\mathrm{B}}$", "$$\\boxed{B. Allopurinol}$$", "\\boxed{\\textbf{(B)}}"
    ),
    *rows(GOUT, 1, "\\[\\boxed{B}\\]", "\\(\\boxed{B}\\)", "\\boxed{Allopurinol}", "$B$", "#### B"),
    *rows(
        GOUT, 1, "B", "b", " B ", "\nB\n", "B.", "b.", "B)", "b)", "(B)", "(b)", "[b]", "[B]", "{B}"
    ),
    *rows(
        GOUT, 1, "**B**", "__B__", "`B`", '"B"', "'B'", "‘B’", "B!", "B,", "**(B)**", "[[B]]", "<B>"
    ),
    *rows(
        GOUT, 1, "「B」", "【B】", "（B）", "Ｂ", "ｂ", "𝐁", "Ⓑ", "⒝", "\u200bB", "答案：B", "选B"
    ),
    *rows(
        GOUT,
        1,
        "正确答案是B",
        "答えはB",
        "回答：B",
        "Réponse : B",
        "Die Antwort ist B.",
        "Ответ: B",
    ),
    *rows(
        GOUT,
        1,
        '{"answer": "B"}',
        '{"Answer": "b"}',
        '{"answer": "Allopurinol"}',
        '{"choice": "B"}',
    ),
    *rows(GOUT, 1, '```json\n{"answer": "B", "reason": "C does not lower urate"}\n```'),
    *rows(GOUT, 1, 'So: {"final_answer": "B) Allopurinol"}.', '[{"answer": "B"}]'),
    *rows(
        GOUT,
        1,
        "<answer>B</answer>",
        "<answer>\nB\n</answer>",
        "<think>A?</think><answer>B</answer>",
    ),
    *rows(GOUT, 1, "<think>A? C? The answer is A.</think>\nB", "<think>C</think>The answer is B."),
    *rows(GOUT, 1, "no open tag: the answer is C</think>\n\nB", "<thinking>C</thinking>**B**"),
    *rows(
        GOUT,
        UNREAD,
        "\\boxed{}",
        "\\boxed{E}",
        "\\boxed{AB}",
        "\\boxed{A, B}",
        "\\boxed{B}\\boxed{C}",
    ),
    *rows(GOUT, UNREAD, '{"answer": 1}', '{"answer": "A or B"}', "{}", "<think>The answer is B"),
]

# ----------------------------------------------------------------------------------- in what words

STATED = [
    *rows(GOUT, 1, "Answer: B", "Answer: B.", "Answer:B", "answer: b", "ANSWER: B", "Answer: (B)"),
    *rows(GOUT, 1, "**Answer:** B", "Answer: **B**", "Answer - B", "Answer = B", "Answer:\nB"),
    *rows(GOUT, 1, "The answer is B.", "The answer is b", "The answer is (B) allopurinol."),
    *rows(GOUT, 1, "The answer is B, allopurinol.", "The answer is 'B'.", "Answer: B) Allopurinol"),
    *rows(
        GOUT, 1, "The correct answer is **B**.", "The correct option is B.", "Correct: B", "Ans. B"
    ),
    *rows(
        GOUT, 1, "The best choice is B", "Solution: B", "The letter is B.", "My choice would be B"
    ),
    *rows(GOUT, 1, "Final answer: B", "My final answer is B", "### Answer\nB", "Selected: B"),
    *rows(
        GOUT, 1, "Option B", "option b", "Choice B", "Option B: Allopurinol", "Option B is right."
    ),
    *rows(
        GOUT,
        1,
        "(B) is the best answer.",
        "B is correct.",
        "B is the correct answer.",
        "B remains.",
    ),
    *rows(
        GOUT, 1, "I choose B because it lowers urate.", "I'd go with B.", "It must be B.", "It's B."
    ),
    *rows(GOUT, 1, "Therefore, B.", "So the answer must be B!", "Hence B.", "Probably B.", "→ B"),
    *rows(
        GOUT, 1, "B because urate must fall", "B: Allopurinol", "B - Allopurinol", "(B) Allopurinol"
    ),
    *rows(GOUT, 1, "B. Allopurinol because it lowers urate, unlike colchicine.", "Allopurinol (B)"),
    *rows(GOUT, 1, "Allopurinol", "ALLOPURINOL", "**Allopurinol**", "I would give allopurinol."),
    *rows(
        GOUT, 1, "Allopurinol is correct; colchicine is for attacks.", "It's allopurinol, I think."
    ),
    *rows(GOUT, 1, "A patient with gout needs urate lowering. Answer: B", "B (90% confident)"),
    *rows(GOUT, 1, "I'm confident the answer is B. Colchicine treats attacks."),
    *rows(
        GOUT,
        0,
        "A",
        "a)",
        "(A)",
        "The answer is a.",
        "A is the answer.",
        "A because attacks need it",
    ),
    *rows(HEART, 0, "Answer: A.", "ASPIRIN"),
    *rows(HEART, 1, "The answer is A beta blocker.", "A beta blocker.", "A beta-blocker"),
    *rows(HEART, 2, "Answer: warfarin", "I would give warfarin."),
    *rows(
        HEART, 3, "low-dose aspirin is best here", "I think that the answer is D, low-dose aspirin."
    ),
]

FOREIGN = [
    *rows(
        GOUT, 1, "La respuesta correcta es la opción B.", "La bonne réponse est donc B.", "Opción B"
    ),
    *rows(
        GOUT, 1, "Antwort B ist richtig.", "Antwort: b)", "A resposta certa é a letra B.", "정답: B"
    ),
    *rows(GOUT, 1, "La risposta corretta è la B.", "Правильный ответ — B.", "Doğru cevap: B"),
    *rows(
        GOUT, 1, "Het juiste antwoord is B.", "الإجابة الصحيحة هي B", "Đáp án: B", "Rätt svar: B"
    ),
    *rows(
        GOUT, UNREAD, "Die Antwort ist nicht B.", "La réponse n'est pas B.", "La respuesta no es B."
    ),
    *rows(
        GOUT,
        UNREAD,
        "不选B",
        "答案不是B",
        "B不正确",
        "正解はBではない",
        "Ответ не B",
        "정답은 B가 아닙니다",
    ),
]

# --------------------------------------------------------------------------- after some reasoning

REASONED = [
    *rows(
        GOUT, 1, "Urate is what must fall, so I take that.\n\nB", "Reasons.\n\n**B**", "Reasons.\nb"
    ),
    *rows(GOUT, 1, "Reasons.\n\nB) Allopurinol", "Step 1: gout.\nStep 2: urate.\nFinal answer: B"),
    *rows(GOUT, 1, "First A seems right.\nBut A does not lower urate.\nAnswer: B"),
    *rows(
        GOUT, 1, "B\n\nIbuprofen would only ease the pain.", "The answer is A? No.\nThe answer is B"
    ),
    *rows(
        GOUT, 1, "A) no\nB) yes\nC) no\nD) no\nAnswer: B", "A: wrong. C: wrong. D: wrong. Answer: B"
    ),
    *rows(GOUT, 1, "A) colchicine: acute only. C) ibuprofen: acute only. So B"),
    *rows(GOUT, 1, "Answer: B\n\nExplanation: option A is for attacks, option C too."),
    *rows(GOUT, 2, "A, because... no, C."),
    *rows(GOUT, 1, "A) Incorrect\nB) Correct\nC) Incorrect", "A - false\nB - true\nC - false"),
    *rows(
        GOUT, 1, "A: ✗\nB: ✓\nC: ✗\nD: ✗", "B<|eot_id|>", "B</s>", "[THINK]The answer is A[/THINK]B"
    ),
    *rows(GOUT, 1, "<|channel|>analysis<|message|>A<|end|><|channel|>final<|message|>B"),
    *rows(
        GOUT, 1, "<ANSWER>B</ANSWER>", "<final>B</final>", "I'd say B", "The most appropriate is B"
    ),
    *rows(
        GOUT, UNREAD, "A\nB\nC\nD", "B\n\n...\n\nC", "A. Colchicine\nB. Allopurinol\nC. Ibuprofen"
    ),
]

# ------------------------------------------------------------------------- rejected and ambiguous

REJECTED = [
    *rows(GOUT, 1, "Not C but B", "It is not C but B.", "The answer is not C but B", "B (not C)"),
    *rows(GOUT, 1, "I would rule out A, so B", "A is wrong. The answer is B.", "B, not C."),
    *rows(GOUT, 1, "A, C and D are wrong, so B.", "We can exclude A, C and D. This leaves B."),
    *rows(
        GOUT, 1, "It isn't A. It's B.", "The answer isn't A, C or D; it is B.", "B rather than C."
    ),
    *rows(GOUT, 1, "B instead of C", "C is wrong, B is correct.", "Not colchicine but allopurinol"),
    *rows(
        GOUT, 1, "The answer is B (allopurinol), not C (ibuprofen).", "Neither A nor C; answer: B"
    ),
    *rows(
        GOUT,
        UNREAD,
        "C is wrong",
        "C is not correct",
        "Not C",
        "The answer is not C.",
        "B isn't right",
    ),
    *rows(GOUT, UNREAD, "I don't think it's B.", "I do not believe the answer is B.", "All but B"),
    *rows(GOUT, UNREAD, "anything but B", "Avoid allopurinol", "Allopurinol should be avoided."),
    *rows(GOUT, UNREAD, "Neither A nor B", "I rule out B", "I would not give allopurinol.", "B?"),
    *rows(
        GOUT, UNREAD, "A or B", "a or b", "A and B", "Both A and B", "A, B", "A/B", "(A) (B)", "AB"
    ),
    *rows(
        GOUT, UNREAD, "Answer: A or B", "Answer: A, B and C", "It is either B or C.", "Could be B"
    ),
    *rows(GOUT, UNREAD, "Allopurinol or colchicine", "Option A would help, and option B too."),
    *rows(GOUT, UNREAD, "None", "None of the above", "All of the above", "Answer: none", "both"),
    *rows(
        GOUT, UNREAD, "B. Ibuprofen", "The answer is (B) ibuprofen", "Ibuprofen (B)"
    ),  # contradiction
    *rows(GOUT, UNREAD, "E", "Answer: E", "Answer: J.", "Answer: 2", "2", "Gout"),
    *rows(
        GOUT, UNREAD, "", "   ", "I don't know.", "As an AI model, I cannot answer.", "I", "心臓"
    ),
    *rows(
        GOUT, UNREAD, "A patient with gout needs rest.", "I think so", "The answer is", "Answer:"
    ),
    *rows(GOUT, UNREAD, "Vitamin B12 is low.", "blood group B patients", "Drug A is new."),
    *rows(
        HEART,
        UNREAD,
        "aspirin or warfarin",
        "Answer: A or answer: B",
        "The answer is none of them.",
    ),
]

# ------------------------------------------------------------------------------ kinds of options

OPTIONS = [
    *rows(
        ANSWERS, 0, "yes", "Yes.", "**Yes**", "Yes, statins reduce it.", "The answer is yes.", "A"
    ),
    *rows(ANSWERS, 0, "Yes, it does. No harm was seen.", "No evidence speaks against it, so yes."),
    *rows(
        ANSWERS, 1, "no", "No.", "No, there is no difference.", "Answer: **No**", "Weak.\n\nNo", "B"
    ),
    *rows(ANSWERS, 2, "maybe", "Maybe.", "\\boxed{maybe}", "The results are mixed.\n\nMaybe"),
    *rows(
        ANSWERS, UNREAD, "There is no difference between the groups.", "Yes or no", "yes/no/maybe"
    ),
    *rows(LETTERS_IN_TEXT, 1, "The answer is hepatitis B.", "Hepatitis B", "B"),
    *rows(LETTERS_IN_TEXT, 2, "It is caused by lack of vitamin D.", "vitamin D", "C"),
    *rows(LETTERS_IN_TEXT, 3, "The answer is B cells.", "B cells", "D"),
    *rows(DOSES, 0, "5 mg", "The dose is 5 mg."),
    *rows(DOSES, 1, "0.5 mg", "Answer: 0.5 mg", "B"),
    *rows(GERMS, 0, "C. difficile", "The answer is C. difficile."),
    *rows(GERMS, 1, "E. coli", "Answer: B. E. coli"),
    *rows(NINE, 8, "I", "I.", "The answer is I.", "Answer: I", "xx"),
    *rows(NINE, UNREAD, "I would wait", "I think so", "The answer I would give is unknown"),
]


@pytest.mark.parametrize(
    ("reply", "options", "option"), [*WRAPPED, *STATED, *REASONED, *REJECTED, *OPTIONS, *FOREIGN]
)
def test_a_reply_that_names_one_option_beyond_doubt_is_read(reply, options, option):
    assert parse_letter(reply, options) == option


@pytest.mark.parametrize("reply", ["A, B, " * 2000, "(" * 10_000, "answer is " * 999, "{" * 9999])
def test_a_hostile_reply_is_read_in_seconds(reply):
    started = time.process_time()
    parse_letter(reply, GOUT)
    assert time.process_time() - started < 20


# -------------------------------------------------------------------------------------- MedAlpaca

MEDALPACA = [  # eval_usmle.py: strip_special_chars, then ^[A-Z](:|\.|) .+
    *rows(HEART, 0, "A beta blocker"),  # as in the original: a word that is a capital letter
    *rows(HEART, 1, "B: a beta blocker", "B. a beta blocker", "B a beta blocker", '"B: beta"'),
    *rows(HEART, 1, "**B: a beta blocker**", "\n B: a\nmore", " B:  x"),
    *rows(HEART, 2, "  C: warfarin"),
    *rows(HEART, UNREAD, "B", "B:", "b: a beta blocker", "The answer is B", "(B) a beta blocker"),
    *rows(HEART, UNREAD, "F: nothing", "", "B:warfarin", "B.\nwarfarin", "B) warfarin", "Bx y"),
]


@pytest.mark.parametrize(("reply", "options", "option"), MEDALPACA)
def test_medalpacas_replies_are_read_as_its_script_reads_them(reply, options, option):
    assert parse_medalpaca(reply, options) == option
