"""What ``listener backtest`` found: tables for people, values for programs, and lines to paste."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from statistics import median
from typing import Any

from rich.markup import escape
from rich.table import Table

from listener.alerts.detection.rules import Deterioration
from listener.backtest.compare import Outcome
from listener.backtest.simulate import TIMES
from listener.backtest.tune import Advice, Delay, Tried
from listener.backtest.words import sentence, span
from listener.cli.root import err


def show_outcomes(outcomes: Sequence[Outcome], titles: Mapping[str, str]) -> None:
    """A row for each brand and set of rules, and a sentence for each; minutes are positive where volume came later."""
    several = len({one.rules for one in outcomes}) > 1
    table = Table(header_style="bold")
    heads = ["mentions", "pages", "warnings", "resolved", "lasted", "vs volume", "in quiet weeks", "volume alone"]
    for name in ("brand", *(["rules"] if several else []), *heads):
        table.add_column(name, overflow="fold")
    for one in outcomes:
        hours = [alert.hours for alert in one.alerts if alert.hours is not None]
        leads = one.leads_secs
        cells = [
            titles.get(one.brand, one.brand),
            *([one.rules] if several else []),
            one.votes,
            len(one.pages),
            one.tickets,
            f"{one.resolved} of {len(one.alerts)}",
            span(3600 * median(hours)) if hours else "",
            f"{median(leads) / 60:+.0f} min" if leads else "",
            one.quiet_pages,
            one.volume_pages,
        ]
        table.add_row(*(escape(str(cell)) for cell in cells))
    err.print(table)
    for one in outcomes:
        rules = f" with {one.rules}" if several else ""
        err.print(escape(f"{titles.get(one.brand, one.brand)}{rules}: {sentence(one)}."))


def show_advice(advice: Advice, titles: Mapping[str, str]) -> None:
    """What is recommended for one brand, and the lines to paste."""
    title = titles.get(advice.brand, advice.brand)
    if advice.refused is not None:
        err.print(escape(f"{title}: no recommendation. {advice.refused}."))
        return
    table = Table(
        title=escape(
            f"{title}: at most {advice.target:g} pages a month when all is well ({advice.months:.1f} months made of "
            f"{advice.quiet_days} quiet days)"
        ),
        title_justify="left",
        header_style="bold",
    )
    for name in ("", "promise", "ratio", "volume", "pages a month", *(f"{times:g} times found" for times in TIMES)):
        table.add_column(name, overflow="fold")
    for one in shown(advice):
        setting = one.setting
        marks = [name for name, chosen in (("now", advice.now), ("best", advice.best)) if chosen is one]
        table.add_row(
            ", ".join(marks),
            f"{setting.false_alarms_per_month:g}",
            f"{setting.budget_ratio:g}",
            f"{setting.volume_critical:g}",
            f"{one.per_month:.2f} ({one.low:.2f}-{one.high:.2f})",
            *(_delay(one.delays[times]) for times in TIMES),
        )
    err.print(table)
    err.print(
        "promise: false_alarms_per_month; ratio: budget_ratio; volume: volume_critical; found: how soon 2 or 3 times "
        "as many complaints are, the median of those found within a week"
    )
    for note in advice.notes:
        err.print(escape(f"Note: {note}."))
    if not advice.kept:
        err.print(escape("No setting that was tried keeps to the target; this is the quietest."))
    err.print(escape(snippet(advice)))


def shown(advice: Advice) -> list[Tried]:
    """What is set now, what is best, and every setting that finds trouble sooner than all those that page less."""
    front: list[Tried] = []
    for one in sorted(advice.tried, key=lambda each: (each.per_month, each.delays[TIMES[0]].mean_hours)):
        if not front or one.delays[TIMES[0]].mean_hours < front[-1].delays[TIMES[0]].mean_hours:
            front.append(one)
    chosen = [one for one in (advice.now, advice.best) if one is not None]
    return [*chosen[: 1 if advice.now is advice.best else 2], *(one for one in front if one not in chosen)]


def _delay(delay: Delay) -> str:
    if delay.hours is None or delay.mentions is None:
        return f"0 of {delay.trials}"
    return f"{span(3600 * delay.hours)}, {delay.mentions:.0f} mentions ({delay.found} of {delay.trials})"


def snippet(advice: Advice) -> str:
    """TOML to paste: the brand's own thresholds, and what is set for all brands only where it must change."""
    if advice.best is None or advice.now is None or advice.rule is None:
        return ""
    best, now = advice.best.setting, advice.now.setting
    if best == now:
        return f"# {advice.brand}: what is set is best"
    parts = []
    if best.false_alarms_per_month != now.false_alarms_per_month:
        parts.append(f"[brands.{advice.brand}.thresholds]\nfalse_alarms_per_month = {best.false_alarms_per_month:g}")
    changed = [
        f"{name} = {getattr(best, name):g}"
        for name in ("budget_ratio", "volume_warning", "volume_critical")
        if getattr(best, name) != getattr(now, name)
    ]
    if changed:
        kind = Deterioration.model_fields["type"].default
        parts.append("\n".join([f'[rules.{advice.rule.name}]  # of all brands\ntype = "{kind}"', *changed]))
    return "\n\n".join(parts)


def outcome_json(one: Outcome) -> dict[str, Any]:
    """What one set of rules would have done for one brand."""
    leads = one.leads_secs
    return {
        "brand": one.brand,
        "rules": one.rules,
        "mentions": one.votes,
        "pages": [
            {**_values(page), "lead_minutes": None if page.lead_secs is None else page.lead_secs / 60}
            for page in one.pages
        ],
        "warnings": one.tickets,
        "resolved": one.resolved,
        "alerts": [{**_values(alert), "hours": alert.hours} for alert in one.alerts],
        "lead_minutes_median": median(leads) / 60 if leads else None,
        "pages_in_quiet_weeks": one.quiet_pages,
        "volume_alone_pages": one.volume_pages,
        "weeks": [{**_values(week), "begins": week.begins.isoformat()} for week in one.weeks],
        "sentence": sentence(one),
    }


def advice_json(advice: Advice) -> dict[str, Any]:
    """What is recommended for one brand, with everything that was tried."""
    return {
        "brand": advice.brand,
        "mentions": advice.votes,
        "days": advice.days,
        "target_pages_per_month": advice.target,
        "refused": advice.refused,
        "quiet_days": advice.quiet_days,
        "months": advice.months,
        "notes": list(advice.notes),
        "kept": advice.kept,
        "now": None if advice.now is None else _tried(advice.now),
        "best": None if advice.best is None else _tried(advice.best),
        "tried": [_tried(one) for one in advice.tried],
        "toml": snippet(advice),
    }


def _tried(one: Tried) -> dict[str, Any]:
    return {
        **asdict(one.setting),
        "pages": one.pages,
        "pages_per_month": one.per_month,
        "pages_per_month_low": one.low,
        "pages_per_month_high": one.high,
        "delays": {f"{times:g}": asdict(delay) for times, delay in one.delays.items()},
    }


def _values(one: Any) -> dict[str, Any]:
    return {
        name: value if isinstance(value, datetime) or not isinstance(value, tuple) else list(value)
        for name, value in asdict(one).items()
    }
