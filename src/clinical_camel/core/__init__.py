"""The ground floor: paths, hashing, files, values and settings. It imports nothing else of ours.

paths      the project folder, and paths inside it
hashing    sha256 of files and of values
files      files written completely or not at all, folders swapped by renames
values     messages about values; secrets, machine paths and invisible characters in them
"""
