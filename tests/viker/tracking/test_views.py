"""The saved views, on MLflow's own pages."""

from pathlib import Path

from mlflow import MlflowClient

from tests.viker.tracking.pages import new_page, view_page
from tests.viker.tracking.server import Server
from viker.attacks.base.strongest import in_words, strongest
from viker.tracking.views import LEAKAGE, RETAIN, VIEWS, link, save_views


def test_a_saved_view_has_verdict_leakage_retain_and_attacks_as_columns(browser, moto_endpoint, tmp_path: Path) -> None:
    server = Server(tmp_path, moto_endpoint)
    server.start()
    try:
        client = MlflowClient(server.uri)
        experiment = client.create_experiment("viker")
        tags = {"seed": "7", "verdict": "pass", "attacks": "14 made; strongest: typographic, 0.03 above guessing"}
        whole = client.create_run(experiment, tags=tags, run_name="viker-1a2b").info.run_id
        client.log_metric(whole, LEAKAGE, 0.03125)
        client.log_metric(whole, RETAIN, 0.96875)
        client.create_run(experiment, tags={"mlflow.parentRunId": whole, "stage": "gate"}, run_name="the-gate")
        save_views(client, experiment)
        page = new_page(browser)
        text = view_page(page, link(server.uri, experiment, "viker-runs"), tmp_path / "view.png")
        page.close()
    finally:
        server.kill()
    for shown in ("verdict", "pass", LEAKAGE, "0.03125", RETAIN, "attacks", "14 made"):
        assert shown in text, shown
    assert "the-gate" not in text


def test_views_are_saved_once(tracking: str) -> None:
    client = MlflowClient(tracking)
    experiment = client.create_experiment("views")
    save_views(client, experiment)
    saved = client.get_experiment(experiment).tags
    assert {f"mlflow.sharedViewState.{key}" for key in VIEWS} < set(saved)
    save_views(client, experiment)
    assert client.get_experiment(experiment).tags == saved


def test_the_strongest_attack_is_the_one_furthest_above_guessing() -> None:
    blocks = {"prefix": {"above_chance": -0.1}, "probe": {"above_chance": None}, "sampling": {"above_chance": 0.25}}
    assert strongest(blocks) == ("sampling", 0.25, 2)
    assert in_words(blocks) == "2 made; strongest: sampling, 0.25 above guessing"
    assert (strongest({}), in_words({})) == (None, "none made")
