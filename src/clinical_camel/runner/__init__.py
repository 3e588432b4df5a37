"""What executes notebooks: `python -m clinical_camel`.

cli         the commands and their arguments
jobs        which step needs which, from the paths in the params
study       a study from its first step to its last
sweep       all runs of a sweep, several at once
tasks       several studies at once, each a process; signals, the remaining time
execution   one notebook in one kernel
kernel      the kernel of this interpreter
state       what is complete, and if not, why
places      folders to write in, a GPU and packages, before a kernel starts
consistency values of one step that contradict another step of the study
recovery    clean-up after a runner that was killed
display     what is printed: progress and tables
summary     what a run cost: time, memory, energy, money
"""
