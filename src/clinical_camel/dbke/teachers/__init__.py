"""The teachers that write dialogues: four kinds behind one interface.

settings      the settings of each kind
registry      loads the teacher of given settings
extractive    rules: no language model, no cost
local         a language model on this machine
openai        any endpoint with OpenAI's chat completions
replay        the recorded replies of an earlier run
cache         the ledger: all requests and replies, append-only (SQLite)
rate_limits   requests and tokens per minute, caps on tokens and money
shards        one ledger per worker, merged into the study's
"""
