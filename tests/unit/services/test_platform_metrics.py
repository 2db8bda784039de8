"""Totals and durations: what is exposed is what happened, as Prometheus reads it."""

from collections import Counter

import pytest
from prometheus_client.parser import text_string_to_metric_families

from anc.ports import Backlog
from anc.services.platform_metrics import BOUNDS_S, exposition, histogram, histogram_increments


def totals(**durations: list[float]) -> Counter[str]:
    found: Counter[str] = Counter()
    for name, each in durations.items():
        for seconds in each:
            found.update(dict(histogram_increments(name, seconds)))
    return found


def test_prometheus_parses_all_totals_and_histograms() -> None:
    families = {
        family.name: family
        for family in text_string_to_metric_families(
            exposition(totals(block=[0.0004, 0.004, 0.0041, 60.0]) | Counter(sessions_opened=7))
        )
    }
    assert families["anc_sessions_opened"].type == "counter"
    assert [sample.value for sample in families["anc_sessions_opened"].samples] == [7]
    assert all(families[f"anc_{name}_seconds"].type == "histogram" for name in ("block", "snapshot", "rest"))
    samples = families["anc_block_seconds"].samples
    buckets = {float(each.labels["le"]): each.value for each in samples if each.name.endswith("_bucket")}
    assert list(buckets) == [*BOUNDS_S, float("inf")]
    assert [buckets[bound] for bound in (0.001, 0.0025, 0.005, 10.0, float("inf"))] == [1, 1, 3, 3, 4]
    (total,) = [each.value for each in samples if each.name.endswith("_sum")]
    (number,) = [each.value for each in samples if each.name.endswith("_count")]
    assert (number, total) == (4, pytest.approx(60.0085))


def test_a_new_platform_exposes_zeros() -> None:
    for family in text_string_to_metric_families(exposition({})):
        assert {sample.value for sample in family.samples} == {0}


def test_the_state_of_each_queue_is_exposed_as_gauges() -> None:
    text = exposition({}, {"snapshots": Backlog(7, 12.5, 2), "updates": Backlog(0, 0.0, 0)})
    families = {family.name: family for family in text_string_to_metric_families(text)}
    found = {
        name: {sample.labels["queue"]: sample.value for sample in families[f"anc_queue_{name}"].samples}
        for name in ("messages", "age_seconds", "dead_letters")
    }
    assert found == {
        "messages": {"snapshots": 7, "updates": 0},
        "age_seconds": {"snapshots": 12.5, "updates": 0},
        "dead_letters": {"snapshots": 2, "updates": 0},
    }
    assert {families[f"anc_queue_{name}"].type for name in found} == {"gauge"}


def test_a_quantile_is_the_upper_bound_of_its_bucket() -> None:
    found = histogram("block", totals(block=[0.002] * 98 + [0.02, 60.0]))
    assert [found.quantile_s(q) for q in (0.5, 0.98, 0.99, 1.0)] == [0.0025, 0.0025, 0.025, None]
    assert histogram("block", {}).quantile_s(0.5) is None
