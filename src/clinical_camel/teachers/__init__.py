"""Language models that write or judge: one interface, one ledger of all that was paid for.

A *teacher* replies to queries. A `RequestRunner` builds the prompts, checks replies and retries:
step 01 has one for dialogues, `StructuredRunner` is the one for replies in a JSON schema, and a
*judge* uses it to compare pairs of replies.

    settings       the settings of each kind, and of a judge
    registry       loads the language model of given settings
    teacher        the interface: query, reply, outcome
    attempts       queries, checks, retries, ledger keys
    structured     requests whose reply has a schema
    comparisons    pairs of replies, verdicts, and counts of verdicts
    judge          compares pairs in both orders: a language model, or the overlap rule
    completions    from the body of a chat completion to the answer and its JSON
    injection      prompt-injection filter for texts from outside
    licences       what licences and a model's terms rule out
    local          a language model on this machine
    openai         any endpoint with OpenAI's chat completions
    replay         the recorded replies of an earlier run
    recording      prompts for a writer outside this program, and the ledger of its replies
    cache          the ledger: all requests and replies, append-only (SQLite)
    ledger_writer  writes to a ledger from concurrent requests
    shards         one ledger per worker, merged into the study's
    rate_limits    requests and tokens per minute, caps on tokens and money
    client         HTTP; dialect: forms of requests; errors: what an error says
    secrets        the API key, kept out of every record
    probe          one request, with which `doctor` tries an endpoint
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "attempts": ["RequestRunner"],
        "cache": ["Ledger", "Spending"],
        "comparisons": ["Comparison", "Judge", "Verdict", "count_verdicts"],
        "judge": [
            "OverlapJudge",
            "build_requests",
            "list_queries",
            "load_judge",
            "open_judge",
            "token_f1",
        ],
        "recording": ["export_requests", "import_replies", "merge_queries"],
        "settings": ["JudgeSettings", "Local", "OpenAI", "Overlap", "Replay"],
        "structured": ["StructuredRequest", "run_requests"],
        "teacher": ["Teacher", "TeacherStop"],
    },
)
