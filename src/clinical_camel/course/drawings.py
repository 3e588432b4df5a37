"""The six drawings of docs/drawings: `python -m clinical_camel.course.drawings` writes them.

Texts, tokens and numbers in them come from the embedded study, so they cannot drift from the code.
"""

from pathlib import Path

import numpy as np

from clinical_camel import data, dbke, models
from clinical_camel.core.paths import root
from clinical_camel.course.svg import LINE, MARGIN, WIDTH, Area, Page, measure, wrap
from clinical_camel.exercises import base_model
from clinical_camel.models import IGNORE_INDEX
from clinical_camel.reward_and_rl import RewardAndRl

FULL = WIDTH - 2 * MARGIN  # width of a box over the complete page
MIDDLE = WIDTH / 2
GAP = 26  # length of an arrow
CLEAR = 1.0  # nats between the two most likely options of the example
SECTION = "Treatment"  # of the article that the drawings quote
FURTHER = (  # steps besides the first five, each with a line
    ("06 Controlled comparison", "01 to 03 again, for each arm and seed"),
    ("07 Reinforcement learning", "rewards, from the adapter of 02"),
    ("08 Free replies", "consultations, diagnoses, questions"),
    ("09 Score checks", "can the scores of 03 be trusted?"),
    ("10 Published numbers", "four systems beside ours"),
    ("00 Results", "what all of these showed, on one page"),
)


def start(name: str, title: str, description: str) -> tuple[Page, float]:
    """Return a page with its title, and the y below it."""
    page = Page(name, title, description)
    page.text(MARGIN, 32, title, style="title")
    return page, 52


def down(page: Page, y: float, x: float = MIDDLE, label: str = "") -> float:
    """Draw an arrow down from y, with a label on its right; return the y of its end."""
    page.arrow((x, y + 2), (x, y + GAP))
    if label:
        page.text(x + 10, y + 19, label, style="small")
    return y + GAP + 2


def draw_pipeline() -> Page:
    """Return the five steps of the study, and the further ones."""
    page, y = start(
        "pipeline",
        "The steps of the study",
        "Articles and training questions become dialogues in step 01. Step 02 tunes a base model "
        "on them and writes an adapter. Step 03 scores exams, step 04 writes notes, step 05 "
        "compares loss curves with exam scores. Further steps: "
        + " ".join(f"{title} ({line})." for title, line in FURTHER),
    )
    half = (FULL - 14) / 2
    x0, x1 = MARGIN, MARGIN + half + 14
    y = page.box((MARGIN, y, FULL), "data", "articles, training questions")
    y = down(page, y)
    y = page.box(
        (MARGIN, y, FULL), "step", "01 Dialogues", ["a teacher rewrites texts, then checks"]
    )
    y = down(page, y, label="dialogues, general chat")
    y = page.box((MARGIN, y, FULL), "step", "02 Fine-tuning", ["QLoRA on a base model in 4 bits"])
    fork = y
    for x in (x0 + half / 2, x1 + half / 2):
        y = down(page, fork, x, "adapter")
    page.box((x0, y, half), "step", "03 Exams", ["scores, intervals"])
    y = page.box((x1, y, half), "step", "04 Notes", ["is the note true?"])
    y = down(page, y, x0 + half / 2, "scores")
    y = page.box(
        (MARGIN, y, FULL), "step", "05 Loss curves", ["the log of 02 and the scores of 03"]
    )
    y += 34
    page.text(MARGIN, y, "Further steps", style="bold")
    y += 12
    for title, line in FURTHER:
        y = page.box((MARGIN, y, FULL), "note", title, [line]) + 10
    return page


def quote_exchange() -> tuple[str, str, str]:
    """Return a section of the first article, a question about it, and its answer."""
    article = data.load_articles("mini_articles")[0]
    section = next(s for s in article.sections if s.heading == SECTION)
    teacher = dbke.ExtractiveTeacher()
    for request in dbke.plan_article_requests(article, 5, 6, seed=0):
        dialogue, _ = dbke.parse_reply(teacher.write_reply(request), request)
        turns = [message["content"] for message in dialogue.messages]
        for question, answer in zip(turns[::2], turns[1::2], strict=True):
            if answer in section.text and len(answer) < len(section.text):
                return section.text, question.rpartition(". ")[2], answer
    raise ValueError(f"no dialogue quotes a part of the section {SECTION}")


def draw_dbke() -> Page:
    """Return how an article becomes a dialogue, and what rejects one."""
    text, question, answer = quote_exchange()
    page, y = start(
        "dbke",
        "From an article to a dialogue",
        f"A section of an article: {text} A teacher rewrites it. User: {question} Assistant: "
        f"{answer} Five checks follow: form, language, support, prompt, repetition. A dialogue "
        "that passes is accepted. One that fails is rejected, and the reason is recorded.",
    )
    inner = FULL - 20
    y = page.box((MARGIN, y, FULL), "data", "Article", wrap(text, inner))
    y = down(page, y, label="the teacher rewrites")
    y = page.box((MARGIN, y, FULL - 40), "note", "User", wrap(question, inner - 40))
    y = page.box((MARGIN + 40, y + 10, FULL - 40), "step", "Assistant", wrap(answer, inner - 40))
    y = down(page, y, label="checks of each sentence")
    checks = [
        "Form: turns alternate",
        "Language: that of the settings",
        "Support: the article says so",
        "Prompt: no order to a model",
        "Repetition: not a copy",
    ]
    y = page.box((MARGIN, y, FULL), "frozen", "Checks", checks)
    half = (FULL - 14) / 2
    x0, x1 = MARGIN, MARGIN + half + 14
    end = down(page, y, x0 + half / 2, "all pass")
    down(page, y, x1 + half / 2, "one fails")
    page.box((x0, end, half), "trained", "accepted", ["training data"])
    page.box((x1, end, half), "warning", "rejected", ["with its reason"])
    return page


def draw_loss_mask() -> Page:
    """Return the tokens of a real exchange; those with loss are green, bold and underlined."""
    _, question, answer = quote_exchange()
    page, y = start(
        "loss_mask",
        "The loss mask",
        f"The tokens of a dialogue. User: {question} Assistant: {answer} Only the tokens of the "
        "answer and its end token </s> have loss. All others are context.",
    )
    tokenizer = models.load_tokenizer("mini")
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    row = models.tokenize_dialogue(tokenizer, messages, "assistant")
    x = MARGIN
    for token, label in zip(row["input_ids"], row["labels"], strict=True):
        text = tokenizer.decode([token]).strip() or " "
        has_loss = label != IGNORE_INDEX
        width = round(measure(text, is_bold=has_loss)) + 12
        if x + width > WIDTH - MARGIN:
            x, y = MARGIN, y + 36
        draw_token(page, x, y, text, has_loss)
        x += width + 5
    y += 66
    count = sum(label != IGNORE_INDEX for label in row["labels"])
    draw_token(page, MARGIN, y, "token", True)
    page.text(MARGIN + 78, y + 20, f"with loss: {count} tokens, </s> among them")
    draw_token(page, MARGIN, y + 38, "token", False)
    page.text(MARGIN + 78, y + 58, f"context only: {len(row['labels']) - count} tokens")
    return page


def draw_token(page: Page, x: float, y: float, text: str, has_loss: bool) -> None:
    """Draw a token in a small box of 30 units height."""
    width = round(measure(text, is_bold=has_loss)) + 12
    colour = "trained" if has_loss else "data"
    page.parts.append(
        f'<rect class="{colour}" x="{x:g}" y="{y:g}" width="{width:g}" height="30" rx="4"/>'
    )
    page.boxes.append(Area(x, y, x + width, y + 30, text))
    page.text(x + 6, y + 21, text, style="bold loss" if has_loss else "")
    page.bottom = max(page.bottom, y + 30)


def draw_qlora() -> Page:
    """Return a linear layer with LoRA: the frozen W in NF4, the trained A and B."""
    page, y = start(
        "qlora",
        "QLoRA: one linear layer",
        "The input x takes two paths. On the left, the frozen matrix W in the 4-bit format NF4. On "
        "the right, the trained matrices A, with rank times inputs numbers, and B, with outputs "
        "times rank numbers. The results are added: y = W x + s B A x. Gradients reach only A and "
        "B.",
    )
    x0, wide, x1, narrow = MARGIN, 210, MARGIN + 234, FULL - 234
    top = page.box((MARGIN, y, FULL), "data", "y = W x + s · B A x", ["s = lora_alpha / lora_rank"])
    upper = top + GAP + 4
    first = page.box((x1, upper, narrow), "trained", "B, trained", ["outputs x rank"])
    second_top = first + GAP + 4
    second = page.box((x1, second_top, narrow), "trained", "A, trained", ["rank x inputs"])
    lines = ["outputs x inputs", "NF4: 4 bits each", "no gradient"]
    frozen = page.box((x0, upper, wide), "frozen", "W, frozen", lines)
    low = max(second, frozen) + GAP + 4
    end = page.box((MARGIN, low, FULL), "data", "input x")
    for x, stop in ((x0 + wide / 2, frozen), (x1 + narrow / 2, second)):
        page.arrow((x, low - 2), (x, stop + 3))
    page.arrow((x1 + narrow / 2, second_top - 2), (x1 + narrow / 2, first + 3))
    for x in (x0 + wide / 2, x1 + narrow / 2):
        page.arrow((x, upper - 2), (x, top + 3))
    y = end + 30
    for line in (
        "The adapter is A and B of all layers.",
        "Gradients and optimizer states exist for A and",
        "B alone: this saves most of the memory.",
    ):
        page.text(MARGIN, y, line)
        y += LINE
    return page


def draw_likelihood() -> Page:
    """Return how the options of a question are scored by their likelihood, with real numbers."""
    question = choose_short_question()
    scores = score_options(question)
    order = scores.argsort()[::-1]
    best = int(order[0])
    page, y = start(
        "likelihood",
        "Scoring options by likelihood",
        f"The prompt: {question.question} Answer. Each option is scored alone after the prompt: "
        + "; ".join(f"{question.options[i]} {scores[i]:.1f}" for i in order)
        + f". The highest, {question.options[best]}, is the answer of the model.",
    )
    lines = [*wrap(f"Question: {question.question}", FULL - 20), "Answer: ..."]
    y = page.box((MARGIN, y, FULL), "data", "Prompt, without options", lines)
    y = down(page, y, label="each option is scored alone")
    y += 22
    longest = abs(scores).max()
    for index, option in enumerate(question.options):
        is_best = index == best
        page.text(MARGIN, y, option, style="bold" if is_best else "")
        width = round(300 * abs(scores[index]) / longest)
        page.bar(MARGIN, y + 9, width, "trained" if is_best else "data")
        mark = "  answer" if is_best else ""
        page.text(
            MARGIN + width + 8,
            y + 21,
            f"{scores[index]:.1f}{mark}",
            style="bold" if is_best else "",
        )
        y += 52
    for line in (
        "Log-likelihood in nats: the closer to 0, the",
        "more likely. It is a sum over tokens, so short",
        "options have an advantage. The disease is",
        "invented; the model is the shipped base.",
    ):
        page.text(MARGIN, y, line)
        y += LINE
    return page


def choose_short_question() -> data.Question:
    """Return the first question on an invented disease that the base model clearly answers.

    Its options must fit into a line.
    """
    rows = [
        question
        for question in data.load_questions("mini_exam_primer")
        if max(map(measure, question.options)) < FULL - 20
    ]
    for question in rows:
        scores = score_options(question)
        first, second = sorted(scores, reverse=True)[:2]
        if first - second >= CLEAR and scores[question.answer] == first:
            return question
    raise ValueError("no question has short options and a clear, correct answer")


def score_options(question: data.Question) -> np.ndarray:
    """Return the log-likelihood of each option after the question, by the base model."""
    tokenizer = base_model.load_base_model().tokenizer
    prompt = base_model.format_prompt(question)
    pairs = [models.tokenize_pair(tokenizer, prompt, f" {o}") for o in question.options]
    return np.array(base_model.score_pairs(pairs))


def draw_ppo() -> Page:
    """Return one step of PPO: reply, reward, distance, advantage, clipped update."""
    page, y = start(
        "ppo",
        "One step of PPO",
        "The policy writes a reply to a prompt. The frozen reward model scores it with r. The "
        "frozen SFT model measures how far the policy has moved: the KL. The total reward is R = "
        "r - beta times the log ratio, whose mean is the KL. The value head turns it into the "
        "advantage of each token. A clipped update changes the policy, and the next step starts.",
    )
    clip = RewardAndRl.model_fields["clip_range"].default
    wide = FULL - 44  # the loop back to the policy is on the right
    half = (wide - 14) / 2
    x0, x1 = MARGIN, MARGIN + half + 14
    centre = MARGIN + wide / 2
    y = page.box((MARGIN, y, wide), "data", "prompt")
    y = down(page, y, centre)
    top = y
    y = page.box(
        (MARGIN, y, wide), "trained", "policy, trained", ["the SFT model with its adapter"]
    )
    fork = y
    y = down(page, fork, x0 + half / 2, "reply")
    down(page, fork, x1 + half / 2, "reply")
    page.box((x0, y, half), "frozen", "reward model", ["frozen", "gives r"])
    y = page.box((x1, y, half), "frozen", "SFT model", ["frozen", "gives the KL"])
    join = y
    y = down(page, join, x0 + half / 2)
    down(page, join, x1 + half / 2)
    y = page.box(
        (MARGIN, y, wide), "note", "R = r - beta · log ratio", ["beta: the price of distance"]
    )
    y = down(page, y, centre)
    y = page.box((MARGIN, y, wide), "trained", "value head, trained", ["advantage of each token"])
    y = down(page, y, centre)
    start_y = y
    y = page.box(
        (MARGIN, y, wide),
        "step",
        "clipped update",
        [f"ratio between {1 - clip:g} and {1 + clip:g}"],
    )
    x = MARGIN + wide + 24
    edge = MARGIN + wide
    page.arrow(
        (edge + 2, (start_y + y) / 2), (x, (start_y + y) / 2), (x, top + 28), (edge + 3, top + 28)
    )
    return page


DRAWINGS = {
    "pipeline": draw_pipeline,
    "dbke": draw_dbke,
    "loss_mask": draw_loss_mask,
    "qlora": draw_qlora,
    "likelihood": draw_likelihood,
    "ppo": draw_ppo,
}


def write_drawings(folder: Path | None = None) -> list[Path]:
    """Write all drawings as <folder>/<name>.svg, by default into docs/drawings."""
    folder = folder or root() / "docs/drawings"
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, draw in DRAWINGS.items():
        file = folder / f"{name}.svg"
        file.write_text(draw().render(), encoding="utf-8")
        files.append(file)
    return files


if __name__ == "__main__":
    for written in write_drawings():
        print(written.relative_to(root()))
