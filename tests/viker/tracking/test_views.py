"""The saved views, on MLflow's own pages."""

import json
from pathlib import Path

from mlflow import MlflowClient
from typer.testing import CliRunner

from pipelines.cli.main import app
from tests.viker.tracking.pages import new_page, view_page
from tests.viker.tracking.server import Server
from viker.attacks.base.strongest import in_words, strongest
from viker.tracking.views import LEAKAGE, MEANING, RETAIN, VIEWS, link, save_views

ROOT = Path(__file__).parents[3]


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
        page.goto(f"{server.uri}/#/experiments/{experiment}/runs")
        page.get_by_test_id("saved-views-trigger").click()
        for name in MEANING.values():
            page.get_by_text(name).first.wait_for()
        page.keyboard.press("Escape")
        text = view_page(page, link(server.uri, experiment, "viker-runs"), "verdict", tmp_path / "view.png")
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


def test_a_view_of_an_earlier_version_is_replaced_by_one_with_a_name(tracking: str, monkeypatch) -> None:
    client = MlflowClient(tracking)
    experiment = client.create_experiment("earlier views")
    client.set_experiment_tag(experiment, "mlflow.sharedViewState.viker-runs", '{"searchFilter": ""}')
    save_views(client, experiment)
    saved = json.loads(client.get_experiment(experiment).tags["mlflow.sharedViewState.viker-runs"])
    assert saved["name"] == MEANING["viker-runs"] and json.loads(saved["state"]) == VIEWS["viker-runs"]


def test_the_views_and_what_waits_as_json(tracking: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    monkeypatch.setenv("VIKER_TRACKING_DIR", str(tmp_path))
    params = ("--params", str(ROOT / "params.yaml"))
    views = json.loads(CliRunner().invoke(app, ["track", "views", "--json", *params]).stdout)
    assert [one["view"] for one in views] == list(VIEWS) and all("viewStateShareKey" in one["link"] for one in views)
    assert json.loads(CliRunner().invoke(app, ["track", "sync", "--json"]).stdout) == {
        "found": [],
        "sent": 0,
        "waiting": 0,
    }


def test_the_strongest_attack_is_the_one_furthest_above_guessing() -> None:
    blocks = {"prefix": {"above_chance": -0.1}, "probe": {"above_chance": None}, "sampling": {"above_chance": 0.25}}
    assert strongest(blocks) == ("sampling", 0.25, 2)
    assert in_words(blocks) == "2 made; strongest: sampling, 0.25 above guessing"
    assert (strongest({}), in_words({})) == (None, "none made")
