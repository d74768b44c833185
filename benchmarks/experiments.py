"""What many experiments cost a call: CPU of one running experiment and of a hundred, in turns; 10,000 audiences.

    benchmarks/experiments [--calls 2000] [--rounds 5] [--page]

In process and without a server, whose own time would make the ratio look better. Prints tables and leaves the figures
in benchmarks/experiments.json; ``--page`` puts them into benchmarks/README.md too.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import common
from flask import Flask
from jinja2 import Environment as Jinja
from werkzeug.test import EnvironBuilder

from flask_pickup import Pickup, migrating
from flask_pickup.assignment import uniform
from flask_pickup.rendering import Environment, expression

LAYERS, IN_EACH = 10, 10
_AUDIENCES = 10_000
_TOML = """\
status = "running"
layer = "layer-{layer}"
layer_range = {layer_range}
audience = "caller.country in ['GB', 'IE'] and call.type != 'test-{number}' and line.number != '+4420794600{number}'"
primary = "duration_seconds"
[arms]
control = 1
other = 1
[metrics.duration_seconds]
smallest = 5
"""


def main() -> None:
    """Measure and print."""
    asked = _arguments()
    with common.folder() as folder, _mounted(folder, 1) as one, _mounted(folder, LAYERS * IN_EACH) as many:
        requests = [_environ(who) for who in range(asked.calls)]
        rounds = [(_cpu(one, requests, turn), _cpu(many, requests, turn)) for turn in range(asked.rounds + 1)][1:]
        assignments = [_assignments(app) for app in (one, many)]
    found: dict[str, Any] = {
        "calls": asked.calls, "rounds": asked.rounds,
        "one": common.median([a for a, _ in rounds]), "many": common.median([b for _, b in rounds]),
        "ratio": common.median([b / a for a, b in rounds]), "ratios": [b / a for a, b in rounds],
        "assignments_per_call": assignments, **_audiences(),
    }  # fmt: skip
    _print(found)
    common.keep("experiments", found, _section(found), page=asked.page)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2_000, help="calls in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--page", action="store_true", help="put the figures into benchmarks/README.md")
    return parser.parse_args()


# --- calls ------------------------------------------------------------------------------------------------------------


@contextmanager
def _mounted(folder: Path, experiments: int) -> Iterator[Flask]:
    """Mount Pickup with the sample greeting and so many experiments in ten layers, each with an audience of its own."""
    content, url = folder / f"of-{experiments}", f"sqlite:///{folder / f'{experiments}.db'}"
    for index in range(experiments):
        _write_experiment(content / "experiments", index, max(1, experiments // LAYERS))
    shutil.copytree(common.ROOT / "greetings", content / "greetings")
    (content / "greetings" / "hours.toml").unlink()
    app = Flask(__name__)
    settings = common.environment(
        content, url, PICKUP_EXPERIMENTS=str(content / "experiments"), PICKUP_GREETINGS=str(content / "greetings")
    )
    app.config.update({name: value for name, value in settings.items() if name.startswith("PICKUP_")})
    app.config["PICKUP_SIGNATURE_TOLERANCE"] = 86_400
    app.register_blueprint(Pickup())
    state = app.extensions["pickup"]
    running = [each for each in state.catalog.experiments if each.is_running]
    assert len(running) == experiments, state.catalog.complaints
    migrating.upgrade(state.engine)
    yield app
    state.close()


def _write_experiment(folder: Path, index: int, in_each: int) -> None:
    layer, place = index % LAYERS, index // LAYERS
    layer_range = [place / in_each, (place + 1) / in_each]
    arm = folder / f"experiment-{index:03}" / "other"
    arm.mkdir(parents=True)
    (arm.parent / "experiment.toml").write_text(
        _TOML.format(layer=layer, layer_range=layer_range, number=f"{index:02}"), "utf-8"
    )
    # Each layer writes a field of its own; in a layer no caller is in two.
    override = {"assistant": {"metadata": {f"layer_{layer}": f"{index} says {{{{ caller.country }}}}"}}}
    (arm / "override.flireo.json").write_text(json.dumps(override), "utf-8")


def _environ(who: int) -> tuple[bytes, bytes, int]:
    head, _, body = common.request(common.new_id(), who % common.CALLERS).partition(b"\r\n\r\n")
    return head, body, who


def _cpu(app: Flask, requests: list[tuple[bytes, bytes, int]], turn: int) -> float:
    """Return milliseconds of CPU per call, of all threads: the ledger's too."""
    environs = [_of_turn(head, body, turn) for head, body, _ in requests]
    started = time.process_time()
    for environ in environs:
        _call(app, environ)
    return 1e3 * (time.process_time() - started) / len(environs)


def _of_turn(head: bytes, body: bytes, turn: int) -> dict[str, Any]:
    """Return a WSGI environment of the same callers with calls of this turn, signed anew."""
    message = json.loads(body)["message"]
    message["call"]["id"] += "abcdefghijklmnopqrstuvwxyz"[turn % 26]
    head, _, body = common.signed(message).partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    environ = EnvironBuilder("/webhook", method="POST", headers=headers).get_environ()
    return {**environ, "wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}


def _call(app: Flask, environ: dict[str, Any]) -> None:
    statuses: list[str] = []

    def start_response(status: str, _headers: object, _error: object = None) -> Any:
        statuses.append(status)

    b"".join(app.wsgi_app(environ, start_response))
    assert statuses == ["200 OK"], statuses


def _assignments(app: Flask) -> float:
    with app.extensions["pickup"].engine.connect() as connection:
        calls = connection.exec_driver_sql("SELECT COUNT(*) FROM pickup_calls WHERE decision = 'arm'").scalar_one()
        assigned = connection.exec_driver_sql("SELECT COUNT(*) FROM pickup_assignments").scalar_one()
    return float(assigned / calls) if calls else 0.0


# --- audiences --------------------------------------------------------------------------------------------------------


def _audiences() -> dict[str, float]:
    """Return what 10,000 distinct audiences take to compile, to keep and to evaluate; none is parsed a second time."""
    parsed = 0
    parse = Jinja.parse

    def counting(self: Jinja, *arguments: Any, **options: Any) -> Any:
        nonlocal parsed
        parsed += 1
        return parse(self, *arguments, **options)

    Jinja.parse = counting  # type: ignore[method-assign]
    before, started = _resident(), time.process_time()
    environment = Environment()
    compiled = [expression(environment, _audience(index)) for index in range(_AUDIENCES)]
    compiling, kept = time.process_time() - started, _resident() - before
    at_start, parsed = parsed, 0
    names: Mapping[str, Any] = {"caller": {"country": "GB"}, "customer": {"visits": 3}, "call": {"type": "inbound"}}
    started = time.process_time()
    inside = sum(bool(audience(names)) for audience in compiled)
    evaluating = time.process_time() - started
    Jinja.parse = parse  # type: ignore[method-assign]
    if parsed:
        sys.exit(f"{parsed} audiences were parsed on a call.")
    assert 0 < inside < _AUDIENCES
    return {
        "audiences": _AUDIENCES, "parsed_at_start": at_start, "parsed_on_calls": parsed,
        "compile_us": 1e6 * compiling / _AUDIENCES, "evaluate_us": 1e6 * evaluating / _AUDIENCES,
        "kilobytes": kept / _AUDIENCES,
    }  # fmt: skip


def _audience(index: int) -> str:
    countries = [("GB", "IE"), ("NL", "BE"), ("FR",)][int(3 * uniform("audience", str(index)))]
    return f"caller.country in {list(countries)} and customer.visits > {index % 5} and call.type != 'test-{index}'"


def _resident() -> float:
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


# --- what it came to --------------------------------------------------------------------------------------------------


def _lines(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    ratios = sorted(found["ratios"])
    return [
        ("CPU per call, one running experiment", f"{found['one']:.3f} ms", ""),
        ("CPU per call, 100 running experiments", f"{found['many']:.3f} ms", ""),
        ("their ratio", f"{found['ratio']:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})", "2"),
        ("compiling an audience, at start", f"{found['compile_us']:.0f} µs, {found['kilobytes']:.1f} kB", ""),
        ("evaluating one of 10,000 audiences on a call", f"{found['evaluate_us']:.1f} µs", ""),
        ("audiences parsed on a call", f"{found['parsed_on_calls']}", "0"),
    ]


def _print(found: Mapping[str, Any]) -> None:
    title = f"{found['calls']:,} calls a round, {found['rounds']} rounds"
    common.show(("", "measured", "at most"), _lines(found), title)


def _section(found: Mapping[str, Any]) -> str:
    return f"""## Many experiments

MEASURED `benchmarks/experiments`, in process, {found["rounds"]} rounds of {found["calls"]:,} calls: 100 running experiments, in ten
layers of ten, each with an audience of its own, against one. A call is in {found["assignments_per_call"][1]:.0f} of the 100, and has as many rows.

{common.table(["", "measured", "at most"], _lines(found))}
"""


if __name__ == "__main__":
    main()
