"""Metrics: what is declared is exposed as Prometheus reads it, anything else is refused, labels stay few."""

import asyncio
import re
import threading

import pytest

from spatial_agent.services.metrics import MOST_VALUES, PrometheusMeter
from spatial_agent.tools.conformance_tools import conformance_registry
from spatial_agent.tools.contract import ToolCall
from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.metering import METRICS, Metric, NoMeter
from spatial_agent.tools.wrappers import Breaker, Cached, Circuits, ResultCache, Timed

parser = pytest.importorskip("prometheus_client.parser")


def samples(meter: PrometheusMeter) -> dict[str, float]:
    """What a Prometheus server would read, by series."""
    families = parser.text_string_to_metric_families(meter.exposition().decode())
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in families
        for sample in family.samples
    }


def series(name: str, **labels: str) -> str:
    return f"{name}{sorted(labels.items())}"


def test_counters_add_up() -> None:
    meter = PrometheusMeter()
    meter.count("spatial_agent_calls_total", {"tool": "depth.sensor", "outcome": "ok"})
    meter.count("spatial_agent_calls_total", {"tool": "depth.sensor", "outcome": "ok"}, 2.0)
    meter.count("spatial_agent_calls_total", {"tool": "depth.sensor", "outcome": "failed"})
    found = samples(meter)
    assert found[series("spatial_agent_calls_total", tool="depth.sensor", outcome="ok")] == 3.0
    assert found[series("spatial_agent_calls_total", tool="depth.sensor", outcome="failed")] == 1.0


def test_levels_can_be_read_in_the_process() -> None:
    meter = PrometheusMeter()
    assert meter.levels("spatial_agent_breaker_open") == []
    meter.level("spatial_agent_breaker_open", {"tool": "mesh"}, 1)
    meter.level("spatial_agent_breaker_open", {"tool": "crop"}, 0)
    told = {labels["tool"]: value for labels, value in meter.levels("spatial_agent_breaker_open")}
    assert told == {"mesh": 1.0, "crop": 0.0}
    with pytest.raises(InvalidValueError, match="no gauge"):
        meter.levels("spatial_agent_calls_total")


def test_gauges_show_the_last_level() -> None:
    meter = PrometheusMeter()
    for length in (3, 7, 0):
        meter.level("spatial_agent_queue_length", {"tool": "mesh"}, length)
    assert samples(meter)[series("spatial_agent_queue_length", tool="mesh")] == 0.0


def test_durations_and_sizes_fall_into_buckets() -> None:
    meter = PrometheusMeter()
    for seconds in (0.003, 0.02, 700.0):
        meter.duration("spatial_agent_call_seconds", {"tool": "mesh"}, seconds)
    for size in (1, 3, 8):
        meter.size("spatial_agent_batch_size", {"tool": "mesh"}, size)
    found = samples(meter)
    buckets = {"0.0025": 0, "0.005": 1, "0.025": 2, "600.0": 2, "+Inf": 3}
    for end, count in buckets.items():
        assert found[series("spatial_agent_call_seconds_bucket", tool="mesh", le=end)] == count
    assert found[series("spatial_agent_call_seconds_sum", tool="mesh")] == pytest.approx(700.023)
    assert found[series("spatial_agent_batch_size_bucket", tool="mesh", le="4.0")] == 2
    assert found[series("spatial_agent_batch_size_count", tool="mesh")] == 3


def test_every_metric_is_exposed_with_its_help_and_type_even_before_anything_happens() -> None:
    text = PrometheusMeter().exposition().decode()
    for metric in METRICS:
        assert f"# HELP {metric.name} {metric.help}\n" in text
        assert f"# TYPE {metric.name} {metric.kind}\n" in text


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_say_their_unit_as_prometheus_wants_it(metric: Metric) -> None:
    assert re.fullmatch(r"spatial_agent(_[a-z]+)+", metric.name)
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert (metric.kind == "histogram") == bool(metric.buckets)
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert metric.help.endswith(".")


TOOL = {"tool": "mesh"}


def test_what_is_not_declared_is_refused() -> None:
    meter = PrometheusMeter()
    with pytest.raises(InvalidValueError, match="no counter is called 'spatial_agent_cals_total'"):
        meter.count("spatial_agent_cals_total", TOOL)
    with pytest.raises(InvalidValueError, match="no gauge is called 'spatial_agent_calls_total'"):
        meter.level("spatial_agent_calls_total", TOOL, 1)
    with pytest.raises(InvalidValueError, match="no histogram is called 'spatial_agent_replicas'"):
        meter.duration("spatial_agent_replicas", TOOL, 1)
    with pytest.raises(InvalidValueError, match="expected the labels tool, outcome, got tool"):
        meter.count("spatial_agent_calls_total", TOOL)
    with pytest.raises(InvalidValueError, match="expected the labels tool, got tool, run"):
        meter.level("spatial_agent_replicas", {**TOOL, "run": "17"}, 1)
    with pytest.raises(InvalidValueError, match="at least 0"):
        meter.count("spatial_agent_gpu_seconds_total", TOOL, -1)
    assert set(samples(meter)) == set()


def test_made_up_tools_share_one_series() -> None:
    meter = PrometheusMeter(tools=["mesh", "depth.sensor"])
    for tool in ("mesh", "depth.sensr", *(f"made-up-{number}" for number in range(500))):
        meter.count("spatial_agent_gpu_seconds_total", {"tool": tool})
    found = {name: value for name, value in samples(meter).items() if "_total" in name}
    assert found == {
        series("spatial_agent_gpu_seconds_total", tool="mesh"): 1.0,
        series("spatial_agent_gpu_seconds_total", tool="other"): 501.0,
    }


def test_labels_never_grow_without_bound() -> None:
    meter = PrometheusMeter()
    for number in range(5 * MOST_VALUES):
        meter.count("spatial_agent_restarts_total", {"tool": f"t{number}", "reason": f"r{number}"})
    counted = [value for name, value in samples(meter).items() if "_total" in name]
    assert len(counted) == MOST_VALUES + 1
    assert sum(counted) == 5 * MOST_VALUES


def test_two_meters_know_nothing_of_each_other() -> None:
    one, other = PrometheusMeter(), PrometheusMeter()
    one.count("spatial_agent_gpu_seconds_total", TOOL)
    assert samples(other) == {}
    assert b"python_info" not in one.exposition()


def test_threads_lose_nothing() -> None:
    meter = PrometheusMeter()

    def work() -> None:
        for number in range(500):
            meter.count("spatial_agent_gpu_seconds_total", {"tool": f"t{number % 7}"})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(value for name, value in samples(meter).items() if "_total" in name) == 2000


def test_the_content_type_is_that_of_the_text_format() -> None:
    assert PrometheusMeter().content_type.startswith("text/plain; version=")


def test_everything_the_wrappers_count_is_declared() -> None:
    registry = conformance_registry()
    meter = PrometheusMeter(registry)
    circuits = Circuits(failures=1, meter=meter)
    inner = Breaker(LocalRunner(registry), circuits)
    runner = Timed(Cached(inner, registry, ResultCache(), meter=meter), meter)

    async def run() -> None:
        for arguments in ({"height": 1, "width": 2}, {"height": 1, "width": 2}, {"height": "x"}):
            await runner.call(ToolCall("c", "conformance.ramp", arguments))
        for _ in range(2):
            await runner.call(ToolCall("c", "conformance.rmap"))

    asyncio.run(run())
    found = samples(meter)
    for outcome in ("ok", "cached", "bad_argument"):
        assert found[series("spatial_agent_calls_total", tool="conformance.ramp", outcome=outcome)] == 1.0
    assert found[series("spatial_agent_call_seconds_count", tool="conformance.ramp")] == 3.0
    for outcome in ("miss", "memory", "bypassed"):
        assert found[series("spatial_agent_cache_total", tool="conformance.ramp", outcome=outcome)] == 1.0
    assert found[series("spatial_agent_calls_total", tool="other", outcome="unavailable")] == 2.0
    assert found[series("spatial_agent_breaker_open", tool="other")] == 1.0


def test_no_meter_takes_everything() -> None:
    meter = NoMeter()
    meter.count("anything", {})
    meter.level("anything", {}, 1)
    meter.duration("anything", {}, 1)
    meter.size("anything", {}, 1)
