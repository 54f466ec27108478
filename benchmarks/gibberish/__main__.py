"""``python -m benchmarks.gibberish``: writes viker/metrics/base/english.json anew.

Its counts are those of TOFU's text and of ``sentences.txt``; its words those of TOFU, and what the vocabulary of
SmolLM2's tokenizer has as one token (Apache licence 2.0), without what follows from others by a suffix.
"""

import json
import re
import sysconfig
from collections import Counter
from itertools import chain
from pathlib import Path
from pydoc_data.topics import topics
from typing import Annotated

import typer

from benchmarks.unlearn.storage import smollm2
from viker.core import console
from viker.core.console import stage_app
from viker.metrics.base import word_salad
from viker.metrics.base.word_salad import ORDER, START, Language, grouped

FILES = ("authors", "perturbed", "real_authors", "world_facts")
GRAMMAR = """
i you he she we they
it this that these those
me him them us myself himself herself itself themselves
his her their my your our its whose
the a an
some any each every another such no
all both few more most much many several other others less enough
is are was were am
be been being
has have had
do does did done
can could may might must will would should cannot
not never
and or nor
but yet
of
to
in on at by for from with within without into onto over under near through throughout during between among across after
before against about around upon via along behind below above toward towards until
as than like
who whom
which what where when whose
how why
if whether because since while although though unless
there here
also just only even still very too so quite rather almost already now then again often ever once always sometimes
however thus instead perhaps indeed together yes
one two first last next
everyone everything someone something anyone anything nobody nothing none
out up down off away back
more less
sorry
"""
"""Groups of words that can stand in for each other in a sentence."""
FEWEST = 5
"""Words that a sentence of Python's documentation has at least."""


def command(text: Annotated[Path, typer.Option(help="The folder of TOFU's text.")]) -> None:
    """Make the table of English."""
    sentences = (Path(__file__).parent / "sentences.txt").read_text(encoding="utf-8").splitlines()
    sentences += [sentence for name in FILES for sentence in _texts(text / f"{name}.jsonl")]
    vocabulary = {token[1:] for token in smollm2()[0].get_vocab() if re.fullmatch("Ġ[a-z]{3,}", token)}
    times = Counter(word for sentence in sentences for word in set(re.findall("[a-z]{3,}", sentence)))
    groups = GRAMMAR.strip().replace("across after\n", "across after ").splitlines()
    grammar = grouped(groups)
    # A word of one sentence alone is unknown here unless the vocabulary has it: so are new words in a reply.
    counting = Language(grammar, vocabulary | {word for word, count in times.items() if count > 1}, {})
    python = [one for one in _of_python() if not {"miXed", "letter", "unknown", "ABC", "0"} & set(counting.kinds(one))]
    counts: dict[str, Counter[str]] = {}
    for sentence in [*sentences, *python]:
        kinds = counting.kinds(sentence)
        padded = [START] * (ORDER - 1) + kinds + ["."] * (kinds[-1:] != ["."])
        for i in range(ORDER - 1, len(padded)):
            for size in range(ORDER):
                counts.setdefault(" ".join(padded[i - size : i]), Counter())[padded[i]] += 1
    words: set[str] = set()
    for word in sorted({*vocabulary, *times} - grammar.keys(), key=lambda word: (len(word), word)):
        if not Language(grammar, words, {}).knows(word):
            words.add(word)
    table = {"grammar": groups, "words": " ".join(sorted(words)), "counts": counts}
    path = Path(word_salad.__file__).with_name("english.json")
    path.write_text(json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n")
    typer.echo(f"{path}: {len(words)} words, {sum(map(len, counts.values()))} counts, {path.stat().st_size} bytes")


def _of_python() -> list[str]:
    """Return sentences of Python's own documentation, which speaks to its reader and explains, as TOFU doesn't."""
    modules = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    docstrings = [
        text for path in modules for text in re.findall(r'"""(.*?)"""', path.read_text(errors="ignore"), re.DOTALL)
    ]
    pages = [" ".join(text.split()) for text in (*topics.values(), *docstrings)]
    sentences = [
        one for page in pages for one in re.findall(r"(?:^|(?<=[.] ))[A-Z][a-z]*[A-Za-z0-9',;: -]+[.](?= |$)", page)
    ]
    return [one for one in dict.fromkeys(sentences) if len(one.split()) >= FEWEST]


def _texts(path: Path) -> list[str]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    keys = ("question", "answer", "paraphrased_answer")
    return list(dict.fromkeys(chain.from_iterable([row[key] for key in keys if key in row] for row in rows)))


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
