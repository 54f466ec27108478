"""YAML that people write, read again and again."""

from viker.core.settings import read_yaml


def test_what_one_reader_changes_no_other_sees_and_a_change_of_the_file_all_do(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("unlearn: {attacks: [1, 2]}\n")
    read_yaml(path, "")["unlearn"]["attacks"].append(3)
    assert read_yaml(path, "") == {"unlearn": {"attacks": [1, 2]}}
    path.write_text("unlearn: {attacks: [4]}\n")
    assert read_yaml(path, "") == {"unlearn": {"attacks": [4]}}
