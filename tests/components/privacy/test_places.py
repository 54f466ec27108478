"""The places of people's data, as the stages declare them."""

from collections import defaultdict

from components.contract.stages import stages


def test_stages_that_share_a_folder_agree_on_who_may_read_it():
    readable = defaultdict(dict)
    for stage in stages().values():
        for what in stage.written().values():
            readable[what.path][stage.name] = what.personal.readable
    assert len(readable["data/sources"]) == 2
    assert {path: set(by.values()) for path, by in readable.items() if len(set(by.values())) > 1} == {}
