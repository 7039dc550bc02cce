"""Writes names.json: a name for each visitor, well shuffled, so each run gives another order.

It stands for what is slow in your builds: a compiler, a bundler, a package manager. And like
those, it leaves files behind that nobody needs afterwards: passes/, some 30 MB.
"""

import itertools
import json
import os
from hashlib import sha256
from pathlib import Path

HOW = "brave calm clever curious daring eager fair gentle happy honest jolly kind lively loyal"
COLOUR = "amber azure black blue brown gold green grey indigo ivory orange pink purple red silver"
WHO = "badger bear crane deer eagle falcon fox hare heron lynx marten otter owl raven seal stork"
AGE = "young old wise little big tall small first last lost found"
PASSES = 8

names = [
    " ".join(words)
    for words in itertools.product(AGE.split(), HOW.split(), COLOUR.split(), WHO.split())
]
work = Path("passes")
work.mkdir(exist_ok=True)
for number in range(PASSES):
    salt = os.urandom(16)
    keys = {name: sha256(salt + name.encode()).hexdigest() for name in names}
    names.sort(key=keys.__getitem__)
    (work / f"pass-{number}.txt").write_text("".join(f"{keys[name]} {name}\n" for name in names))
Path("names.json").write_text(json.dumps(names))
print(f"{len(names)} names are ready.")
