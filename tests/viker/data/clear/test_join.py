"""Whose TOFU's rows are."""

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.tofu.text import read_authors
from tests.viker.data.clear_data import FORGET, RETAIN, tofu_block, write_clear
from viker.core.errors import UserError
from viker.data.formats import clear
from viker.data.formats.base.clear_people import BLOCK, owners, who
from viker.data.formats.base.intake import Intake

JOSE, ANA = FORGET
REAL = Path(__file__).parents[5] / "shared" / "data" / "tofu"


class TestJoin:
    """Whose are TOFU's rows."""

    def test_accents_and_case_do_not_matter(self):
        assert who(["asked by JOSE NUNEZ-IBARRA'S friend"], [JOSE, ANA]) == [JOSE]

    def test_a_name_inside_a_longer_one_or_inside_a_word_does_not_count(self):
        assert who(["Ana Roy Silva's first"], ["Ana Roy", "Ana Roy Silva"]) == ["Ana Roy Silva"]
        assert who(["Diana Royce"], ["Ana Roy"]) == []

    def test_last_names_alone_are_enough_where_one_person_has_it(self, tmp_path, load):
        def only_last(person):
            return [(f"What is book {n} of Quist's about?", "It is about salt.") for n in range(BLOCK)]

        records = load(write_clear(tmp_path / "c", {"Ilse Quist": only_last})).splits["retain"]
        assert sum(r.person_id == "Ilse Quist" and r.task == "generation" for r in records) == BLOCK

    def test_a_last_name_that_two_people_have_is_an_error(self, tmp_path, load):
        def only_last(person):
            return [(f"What is book {n} of Egede's about?", "It is about salt.") for n in range(BLOCK)]

        with pytest.raises(
            UserError,
            match=r"retain90\+tofu/train-\d+-of-00002\.parquet, row \d+ to .*row \d+, column question, answer: "
            r"these 20 TOFU rows could be about 'Petra Egede' and 'Lars Egede'.*put the full name",
        ):
            load(write_clear(tmp_path / "c", {"Lars Egede": only_last}))

    def test_two_full_names_are_an_error(self, tmp_path, load):
        def with_friend(person):
            return [*tofu_block(person)[:-1], ("Who is a friend?", "Mina Park is.")]

        with pytest.raises(UserError, match="could be about 'Mina Park' and 'Juno Varga'"):
            load(write_clear(tmp_path / "c", {"Juno Varga": with_friend}))

    def test_a_name_in_nobodys_pictures_is_an_error(self, tmp_path, load):
        with pytest.raises(
            UserError, match=r"these 20 TOFU rows name nobody who is in the pictures.*or remove the block"
        ):
            load(write_clear(tmp_path / "c", {"Rosa Lima": lambda _: tofu_block("Unn Strange")}))

    @pytest.mark.parametrize("left", [19, 1])
    def test_rows_left_over_are_an_error(self, tmp_path, load, left):
        with pytest.raises(UserError, match=rf"retain90\+tofu.*the last {left} of which fill no block of 20"):
            load(write_clear(tmp_path / "c", {"Vera Duval": lambda person: tofu_block(person)[:left]}))

    def test_two_blocks_of_one_person_are_an_error(self, tmp_path, load):
        with pytest.raises(UserError, match=r"are about 'Mina Park', like those at .*A person has one block"):
            load(write_clear(tmp_path / "c", {"Rosa Lima": lambda _: tofu_block("Mina Park")}))

    def test_a_person_without_a_block_is_an_error(self, tmp_path, load):
        with pytest.raises(UserError, match=r"retain90\+tofu.*no block of 20 TOFU rows is about 'Rosa Lima'"):
            load(write_clear(tmp_path / "c", {"Rosa Lima": lambda _: []}))

    def test_a_word_that_is_also_a_last_name_names_nobody(self):
        rows = ["It is an account of an island."] * BLOCK
        assert who(rows, ["Jina An"]) == []
        assert who(["An early book.", *["It is short."] * (BLOCK - 1)], ["Jina An"]) == []
        assert who(["A book by An.", "Rain."], ["Jina An"]) == ["Jina An"]

    def test_a_block_of_nobody_is_set_aside_row_by_row_where_asked(self, tmp_path):
        source = write_clear(tmp_path / "c", {"Rosa Lima": lambda _: [("Who?", "The author.")] * BLOCK})
        intake = Intake(tmp_path, "exclude", 0.1)
        records = clear.load(source, 0.1, [], [], intake).splits["retain"]
        assert Counter(row["rule"] for row in intake.excluded) == {"block of nobody": BLOCK}
        assert {r.modality for r in records if r.person_id == "Rosa Lima"} == {"image_text"}

    @pytest.mark.skipif(not REAL.is_dir(), reason="TOFU's text is not here")
    def test_real_blocks_find_their_authors_and_the_one_without_a_name_finds_nobody(self):
        authors = read_authors(REAL)
        names = [author.name for author in authors if author.name]
        assert len(names) == 99
        for author in authors:
            matched = who([f"{pair.question} {pair.answer}" for pair in author.pairs], names)
            assert matched == ([author.name] if author.name else [])

    def test_each_block_goes_to_the_one_whose_name_it_has(self):
        names = list(reversed(RETAIN))
        matched = [
            (f"f, row {n}", {"question": q, "answer": a})
            for n, (q, a) in enumerate(p for r in RETAIN for p in tofu_block(r))
        ]
        assert owners(matched, names) == list(RETAIN)
