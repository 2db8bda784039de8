"""Write `docs/scale.md`."""

from collections.abc import Sequence
from pathlib import Path

from tools.cost.estimate import Measured
from tools.cost.prices import FunctionUsage
from tools.scale.loads import CELL, PEAK, Quotas, Use, max_headsets, uses
from tools.scale.simulation import Outcome, Parameters

PAGE = Path(__file__).with_name("page.md")
FLEETS = (1_000, 100_000, 10_000_000)
STORMS = (
    Parameters(headsets=1_000),
    Parameters(headsets=CELL),
    Parameters(headsets=CELL, connects_per_s=5_000, subscriptions_per_s=5_000),
)
FULL = 0.7  # share of a quota from which an increase should be requested
LIVE_CALL_S = 0.05


def page(measured: Measured, work: FunctionUsage, quotas: Quotas, outcomes: Sequence[Outcome]) -> str:
    """Return `docs/scale.md`; `outcomes` are those of `STORMS`."""
    used = {n: uses(n, measured, work, quotas) for n in FLEETS}
    scarce = [use.quota for use in used[CELL]]
    rows = [
        f"| {quota.name} | {quota.value:,.0f} | {max_headsets(quota, measured, work):,} | "
        + " | ".join(_share(used[n], quota.load) for n in FLEETS)
        + " |"
        for quota in scarce
    ]
    requests = [
        f"{use.quota.name.partition(': ')[2]} of {use.load / FULL:,.0f} ({use.quota.name.partition(':')[0]})"
        for use in used[CELL]
        if use.share > FULL
    ]
    return PAGE.read_text().format(
        peak=PEAK,
        cell=CELL,
        columns=" | ".join(f"{n:,}" for n in FLEETS),
        dashes="---|" * len(FLEETS),
        quotas="\n".join(rows),
        firsts="\n".join(_first(n, used[n][0]) for n in FLEETS),
        requests=", ".join(requests) or "nothing",
        cells=max(FLEETS) // CELL,
        parameters=_parameters(),
        outcomes="\n".join(_outcome(storm, each) for storm, each in zip(STORMS, outcomes, strict=True)),
        subscriptions=STORMS[0].subscriptions,
        longest=STORMS[0].longest_retry_s,
        settings=_settings(measured, work),
        sources="\n".join(f"- {name}: {text}" for name, text in quotas.sources.items()),
    )


def _share(used: Sequence[Use], load: str) -> str:
    share = next(use.share for use in used if use.quota.load == load)
    text = f"{share:.0%}" if share >= 0.01 else "< 1%"
    return f"**{text}**" if share > 1 else text


def _first(headsets: int, use: Use) -> str:
    state = "is exceeded" if use.share > 1 else f"is used to {use.share:.0%}"
    return f"- With {headsets:,} headsets in one account, *{use.quota.name}* is the scarcest: it {state}."


def _parameters() -> str:
    text = (Parameters.__doc__ or "").partition("----------")[2]
    meanings: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if " : " in line:
            name = line.split(" : ")[0].strip()
        elif name and line.strip():
            meanings[name] = f"{meanings.get(name, '')} {line.strip()}".strip()
    defaults = Parameters()._asdict()
    return "\n".join(
        f"| `{name}` | {defaults[name]:g} | {meanings[name]} |" for name in defaults if name != "headsets"
    )


def _outcome(storm: Parameters, outcome: Outcome) -> str:
    return (
        f"| {storm.headsets:,} | {outcome.half_s:,.0f} / {outcome.last_s:,.0f} | {outcome.refused:,} | "
        f"{outcome.p50_s:.2f} / {outcome.p99_s:.1f} / {outcome.max_s:.0f} | {outcome.cold_starts} | "
        f"{outcome.retried} | {outcome.longest_queue:,} | {outcome.peak_concurrency} |"
    )


def _settings(measured: Measured, work: FunctionUsage) -> str:
    snapshots = 50 / work.snapshot_s
    headsets = int(3600 * snapshots / (PEAK * measured.per_hour["snapshots"]))
    rows = (
        (
            "`queue_concurrency`",
            50,
            f"{snapshots:,.0f} snapshots a second, {headsets:,} headsets; at most 1,000",
        ),
        (
            "`live_concurrency`",
            100,
            f"{100 / LIVE_CALL_S:,.0f} live frames a second, 200 sessions of 100-ms blocks",
        ),
        ("`frames_per_s`", 2000, "frames of all WebSockets, with bursts of twice as many"),
        ("`requests_per_s`", 500, "REST requests of all callers, with bursts of twice as many"),
        ("`concurrency`", 1000, "the account's quota of concurrent executions, from which functions reserve"),
    )
    return "\n".join(f"| {name} | {default:,} | {capacity} |" for name, default, capacity in rows)
