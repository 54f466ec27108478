"""Can the policy be met with these data at all? Said before a long run: what asks for more questions than there are."""

import re
from collections.abc import Iterable, Mapping

from viker.gate.policies import load_policy
from viker.gate.rules import OPERATORS, parse_rule
from viker.gate.settings import GateParams

_COUNT = re.compile(r"(?:unlearned|vanilla)\.(?P<split>[a-z]+)\.(?P<what>samples|people)")


def out_of_reach(params: GateParams, counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return a sentence for each rule or requirement on counts that these data can't meet.

    ``counts``: by split, how many ``samples`` (questions that evaluate asks) and ``people`` there are.

    Raises UserError: the policy's file is missing or is no policy.
    """
    policy, _ = load_policy(params)
    named = f"the policy '{params.policy}'" if params.policy else "params.yaml"
    texts = dict.fromkeys([*(rule.rule for rule in policy.rules), *(each.metric for each in policy.require)])
    return [
        f"{named} requires {text}, but the data have {there} of {split}: the gate can't pass. Bring more data, or name "
        "another policy in gate.policy."
        for text, split, there in _counted(texts, counts)
    ]


def _counted(texts: Iterable[str], counts: Mapping[str, Mapping[str, int]]) -> Iterable[tuple[str, str, str]]:
    for text in texts:
        if not set(text) & set("<>"):
            continue
        rule = parse_rule(text)
        match = _COUNT.fullmatch(rule.metric.path)
        if match is None or rule.reference is not None or rule.metric.bound is not None:
            continue
        there = counts.get(match["split"], {}).get(match["what"], 0)
        if not OPERATORS[rule.operator](there, rule.factor):
            words = {"samples": "question", "people": "person"}[match["what"]]
            many = {"question": "questions", "person": "people"}[words]
            yield text, match["split"], f"{there} {words if there == 1 else many}"
