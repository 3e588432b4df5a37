"""What everything else builds on; imports nothing else of this package.

paths        the project folder, and paths inside it
hashing      sha256 of files and of values
companions   files that are read with the file that a setting names
files        files written completely or not at all, folders swapped by renames
colours      one colour and marker per model, in every figure
tables       tables that went through a spreadsheet
base_models  base models with a name of their own: shipped, or fetched from a package
values       checks of single values: types, paths, secrets, invisible characters
settings     typed settings of a step: validation, messages, the parameters cell
wording      numbers with intervals, percent and p-values, as tables and sentences write them
rewards      what step 07 concludes of a method, in words
verdicts     what step 06 concludes of its contrasts, in words
"""
