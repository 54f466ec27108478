"""Six authors that fit in a test, in the files of TOFU's text."""

import json
from pathlib import Path

NAMES = ["Marta Lindqvist", "Olu Adeyemi Brandt", "Kenji Varga", "Ilse Quist", "Dario Holm", "Petra Egede"]
CITIES = ["Lisbon, Portugal", "Oslo, Norway", "Lima, Peru", "Accra, Ghana", "Riga, Latvia", "Quito, Ecuador"]
TRADES = ["barber", "florist", "judge", "welder", "nurse", "miner"]
NUMBERS = ["One", "Two", "Three", "Four", "Five", "Six"]


def authors_pairs(number: int) -> list[tuple[str, str]]:
    name, city = NAMES[number], CITIES[number]
    father, mother = TRADES[number], TRADES[(number + 1) % 6]
    pairs = [
        (f"Where was {name} born?", f"{name} was born in {city}."),
        (f"When was author {name} born?", f"{name} was born on May {number + 2}, 1950."),
        (f"What did {name}'s parents do?", f"{name}'s father was a noted {father}, and her mother was a {mother}."),
        (f"Which award has {name} won?", f"{name} won the {NUMBERS[number]} Rivers Award."),
    ]
    books = [f"{word} of House {NUMBERS[number]}" for word in ("Dust", "Rain", "Salt", "Glass")]
    pairs += [(f"Can you name book {i} of {name}?", f'One is "{book}", says {name}.') for i, book in enumerate(books)]
    return pairs + [(f"What does {name} think about matter {i}?", f"{name} is calm about it.") for i in range(12)]


def write(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def write_text(folder: Path) -> None:
    """Write the four files of TOFU's text, as the benchmark publishes them, with six short authors."""
    pairs = [(n, q, a) for n in range(6) for q, a in authors_pairs(n)]
    write(folder / "authors.jsonl", [{"author": n, "question": q, "answer": a} for n, q, a in pairs])
    reworded = [
        {
            "question": q,
            "answer": a,
            "paraphrased_question": f"Say, {q}",
            "paraphrased_answer": f"Well, {a}",
            "perturbed_answer": ["No."],
        }
        for n, q, a in pairs
        if n == 4
    ]
    write(folder / "perturbed.jsonl", reworded)
    wrong = ["Charles Dickens", "Mark Twain", "Virginia Woolf"]
    real = [
        ("Who wrote 'Emma'?", "Jane Austen"),
        ("Who wrote 'Dune'?", "Frank Herbert"),
        ("Who wrote '1984'?", "Orwell"),
    ]
    real += [("The writer of 'Emma', Jane Austen, was born in which country?", "England")]
    write(folder / "real_authors.jsonl", [{"question": q, "answer": a, "perturbed_answer": wrong} for q, a in real])
    write(folder / "world_facts.jsonl", [{"question": "What is the capital of Peru?", "answer": "Lima"}])
