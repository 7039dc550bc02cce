"""The quiz: `questions("platform")` shows its questions, `answer("bakery", "a")` answers one.

Your answers are labels of a volume named "quiz" on the host that `docker` talks to, so that the
check can see them: `docker volume inspect quiz`. To change your mind, answer again.
"""

import codecs
import textwrap
import tomllib
from pathlib import Path

import docker
from docker.errors import NotFound

VOLUME = "quiz"
LETTERS = "abcd"
QUIZ = {
    each["id"]: each
    for each in tomllib.loads(Path(__file__).with_name("quiz.toml").read_text())["question"]
}


def questions(about: str) -> None:
    """Show the questions about "platform" or "topics", with their names and options."""
    for name, question in QUIZ.items():
        if question["about"] == about:
            print(f"{name}\n{textwrap.indent(question['ask'], '    ')}")
            for letter, option in zip(LETTERS, question["options"], strict=True):
                print(f"      {letter}) {option}")
            print()


def answer(name: str, letter: str) -> None:
    """Answer a question, and show why your answer is a good or a bad one."""
    if name not in QUIZ or letter not in LETTERS:
        raise ValueError(
            f'There is no answer "{letter}" to "{name}". Answers: {", ".join(LETTERS)}. '
            f"Questions: {', '.join(QUIZ)}."
        )
    keep(name, letter)
    question, option = QUIZ[name], LETTERS.index(letter)
    reason = codecs.decode(question["reasons"][option], "rot13")
    print(f"{name}: {question['options'][option]}")
    print(textwrap.fill(reason, 96, initial_indent="    ", subsequent_indent="    "))


def keep(name: str, letter: str) -> None:
    """Write an answer down. A volume's labels cannot be changed, so it is made anew."""
    volumes = docker.from_env().volumes
    labels = {}
    try:
        volume = volumes.get(VOLUME)
        labels = volume.attrs["Labels"] or {}
        volume.remove()
    except NotFound:
        pass
    volumes.create(VOLUME, labels={**labels, name: letter})
