"""The text around question and answer, as a protocol wants it."""

import copy

from viker.models.chat_template import ChatTemplate

LLAVA = (
    "{% for m in messages %}{{ m['role'].upper() }}: "
    "{% for c in m['content'] %}{{ '<image>\n' if c['type'] == 'image' else c['text'] }}{% endfor %} {% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def test_the_reply_begins_a_line_where_the_template_has_a_space_and_the_protocol_wants_it(small_model):
    processor = copy.deepcopy(small_model[1].processor)
    processor.chat_template = LLAVA
    asked = {line: ChatTemplate(processor, line_before_reply=line).prompt("Who?", True) for line in (False, True)}
    assert asked[False].endswith("USER: <image>\nWho? ASSISTANT:")
    assert asked[True].endswith("USER: <image>\nWho?\nASSISTANT:")
    processor.chat_template = LLAVA.replace("{% endfor %} {% endfor %}", "{% endfor %}<end>{% endfor %}")
    other = {ChatTemplate(processor, line_before_reply=line).prompt("Who?", False) for line in (False, True)}
    assert len(other) == 1
