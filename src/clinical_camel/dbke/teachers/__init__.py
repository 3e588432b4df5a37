"""Who writes the dialogues: four teachers behind one interface.

settings      what each kind of teacher is given
registry      the teachers by kind
extractive    rules: no language model, no cost
local         a language model on this machine
openai        any endpoint that speaks OpenAI's chat completions
replay        the recorded replies of an earlier run
cache         the ledger: every request and every reply, append-only (SQLite)
rate_limits   what may be sent, and when: caps, requests and tokens per minute
shards        one ledger per worker, merged into the study's
"""
