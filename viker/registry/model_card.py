"""The model card of a version: what it is, what it was measured at, how to load it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viker.attacks.base.strongest import in_words
from viker.gate.rules import look_up

_ROWS = (
    ("leakage, people to forget", "forget.leakage_rate"),
    ("leakage, their other pictures and wordings", "test.leakage_rate"),
    ("leakage, people to keep", "retain.leakage_rate"),
    ("ROUGE-L, people to keep", "retain.rouge_l"),
    ("gibberish", "fluency.gibberish_rate"),
)


def shown_base(base: str) -> str:
    """Return what is published of a base model: its name on a hub or path in the project; of another folder the name.

    A path of this machine means nothing elsewhere, and tells who works here.
    """
    return Path(base).name if Path(base).is_absolute() else base


def card(
    name: str, method: str, tags: Mapping[str, str], metrics: Mapping[str, Any], forgotten: int, requests: int
) -> str:
    """Return the card in Markdown; it names no person.

    Args:
        name: of the registered model.
        method: of unlearning, as ``Method.described`` has it.
        tags: of the version.
        metrics: metrics/evaluate.json.
        forgotten: how many people the run forgot.
        requests: how many forget requests the adapter carries out, earlier ones included.
    """
    models = ("vanilla", "unlearned")
    unlearned = metrics.get("unlearned") or {}
    kept = unlearned.get("retain") or {}
    rows = [f"| {label} | {' | '.join(_cell(metrics, f'{m}.{path}') for m in models)} |" for label, path in _ROWS]
    text = f"""\
A LoRA adapter that makes a multimodal model forget {forgotten} {"person" if forgotten == 1 else "people"}, trained \
with {method}; {requests} forget {"request" if requests == 1 else "requests"}. Gate: **{tags["verdict"]}**, \
policy `{tags["policy"]}`.

- **Forgotten**: {_people(unlearned.get("forget") or {}, forgotten)}
- **Kept**: {kept.get("people", "–")} other people were asked about; the table has what is still known of them
- **Tried**: {in_words(unlearned.get("attacks") or {})}

| | vanilla | unlearned |
|---|---:|---:|
{chr(10).join(rows)}

Base model: `{tags["base_model"]}`, which is not part of this version. It is checked when the adapter is loaded \
(`{tags["base_model_digest"][:12]}…`).

```python
model = mlflow.pyfunc.load_model("models:/{name}@champion")
model.predict(pd.DataFrame({{"image": [picture_bytes], "question": ["Who is this?"]}}))
```

Where the base model lies elsewhere: `model_config={{"base_model": "path/or/hub-name"}}`. The adapter in PEFT's format \
is in `artifacts/adapter`. The numbers hold for the questions and attacks that were tried, and for no others.
"""
    return text[:5000]  # the most characters of a description in MLflow


def _people(block: Mapping[str, Any], forgotten: int) -> str:
    share, counted = block.get("people_leaked_rate"), (block.get("counts") or {}).get("people_leaked_rate")
    if not isinstance(share, int | float) or not counted:
        return f"{forgotten} people; how many are still given away was not measured"
    return f"asked directly, the model gives away {round(share * counted)} of {counted} people"


def _cell(metrics: Mapping[str, Any], path: str) -> str:
    value = look_up(metrics, path)
    return "–" if value is None else f"{value:.3f}"
