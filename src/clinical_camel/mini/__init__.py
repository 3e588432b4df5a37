"""The embedded study: its texts, its small base model, and the script that builds both.

    material   articles and exam questions from facts.csv
    exams      the same facts, asked in other ways: reversed, two-step, cloze
    visits     consultations with notes, and small talk
    primer     invented texts on which the base model is pretrained
    build      writes the texts and trains the base model

`python -m clinical_camel.mini.build` rebuilds all files from `facts.csv` and a seed.
"""
