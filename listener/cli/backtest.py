"""``listener backtest``: what would have been alerted, and when, had listener been there; and which settings suit."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from listener.aggregate import FINE_SECS
from listener.alerts.detection.rules import DEFAULT_RULES, Rule
from listener.app import database_of, load_settings, matcher_of, rules_of, scorer_of
from listener.backtest import Event, Heard, History, Labelled, Plan, read_history, run, stored
from listener.backtest.compare import Outcome, RuleSet, compare
from listener.backtest.rulesets import CONFIGURED, read_rules, rule_set
from listener.backtest.told import payloads
from listener.backtest.tune import Advice, advise
from listener.cli.backtest_report import advice_json, outcome_json, show_advice, show_outcomes
from listener.cli.root import DEFAULT_CONFIG, ConfigOption, JsonOption, LabelOption, app, err, meanings, print_json
from listener.config import Brand, Settings
from listener.config.models import ScoringOptions
from listener.domain import Frozen
from listener.errors import ConfigError, Fault, StoreError
from listener.matching import Matcher
from listener.protocols import Scorer
from listener.sentiment.language import identify
from listener.sentiment.scorer import load_scorer, on_thread
from listener.store import Database, migrate

BEFORE = timedelta(days=30)  # what was usual by --since is learned from what was said before
STAGES = ("stored", "scored", "evaluated", "compared", "simulated")

OnStage = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is asked for: ``names`` of brands (all without any), the stretch of time, further rules, the target."""

    settings: Settings | None
    names: Sequence[str]
    since_at: datetime | None
    until_at: datetime | None
    others: Mapping[str, Sequence[Rule]]
    target: float | None
    tick_secs: int
    on_stage: OnStage

    @property
    def configured(self) -> Sequence[Rule]:
        """The rules that are set."""
        return list(DEFAULT_RULES) if self.settings is None else rules_of(self.settings)

    def of(self, brands: Mapping[str, Brand]) -> dict[str, Brand]:
        """The chosen ones of these brands. Raises BadParameter when one is not among them."""
        for name in self.names:
            if name not in brands:
                known = ", ".join(sorted(brands)) or "none"
                raise typer.BadParameter(f"{name!r} is not a brand here; there are: {known}", param_hint="--brand")
        return {name: brand for name, brand in brands.items() if not self.names or name in self.names}

    def sets(self, brands: Mapping[str, Brand]) -> list[RuleSet]:
        """The sets of rules to compare, the configured one first."""
        named = [(CONFIGURED, self.configured), *self.others.items()]
        return [rule_set(name, rules, brands) for name, rules in named]

    def compared(
        self, brands: Mapping[str, Brand], heard: Mapping[str, Sequence[Heard]]
    ) -> tuple[list[Outcome], list[Event]]:
        """What every set of rules would have done, and what the first would have told."""
        return compare(
            heard,
            self.sets(brands),
            alerting={name: brand.alerts for name, brand in brands.items()},
            since_at=self.since_at,
            tick_secs=self.tick_secs,
            on_progress=lambda done, total: self.on_stage("compared", done, total),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What came of it: the brands, what was heard of them, and the outcomes of the sets of rules."""

    brands: Mapping[str, Brand]
    heard: Mapping[str, Sequence[Heard]]
    outcomes: Sequence[Outcome]


@app.command()
def backtest(
    input_: Annotated[
        Path | None,
        typer.Option(
            "--input", "-i", exists=True, dir_okay=False, help="Mentions with their times: JSONL or CSV, also .gz."
        ),
    ] = None,
    store: Annotated[
        bool, typer.Option("--store", help="Run on what the configured database holds; nothing is written.")
    ] = False,
    brand: Annotated[list[str] | None, typer.Option(help="Only this brand. Repeatable.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only alerts from this day or time on (UTC); what was before teaches the usual.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only mentions before this day or time (UTC).")] = None,
    rules: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A TOML file of \\[rules.NAME] to compare with those configured. Repeatable.",
        ),
    ] = None,
    target_pages_per_month: Annotated[
        float | None,
        typer.Option(min=0.01, max=100.0, help="Recommend the settings that page at most so often when all is well."),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    model: Annotated[Path | None, typer.Option(help="A model directory, instead of the configuration's.")] = None,
    label: LabelOption = None,
    label_field: Annotated[
        str | None,
        typer.Option(help="Take people's labels (negative, neutral, positive) in this field, not the model."),
    ] = None,
    tick_secs: Annotated[
        int, typer.Option(min=FINE_SECS, help="Seconds between two looks of the rules; a multiple of 300.")
    ] = FINE_SECS,
    json_: JsonOption = False,
) -> None:
    """Say what would have been alerted, and when: alerts as JSON lines, and a summary on standard error.

    With --json the summary is the last line, as JSON.
    """
    if tick_secs % FINE_SECS:
        raise typer.BadParameter(f"{tick_secs} is not a multiple of {FINE_SECS}", param_hint="--tick-secs")
    if store == (input_ is not None):
        raise typer.BadParameter("give one of the two: a file, or the store", param_hint="--input / --store")
    if store and (model, label, label_field) != (None, None, None):
        raise typer.BadParameter("what is stored is scored already", param_hint="--model / --label / --label-field")
    named = meanings(label, [model if label_field is None else None])
    settings = load_settings(config) if store or config.exists() or config != DEFAULT_CONFIG else None
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as progress:
        tasks = {name: progress.add_task(name, total=None, visible=False) for name in STAGES}
        job = Job(
            settings=settings,
            names=brand or (),
            since_at=_time("--since", since),
            until_at=_time("--until", until),
            others={path.name: read_rules(path) for path in rules or ()},
            target=target_pages_per_month,
            tick_secs=tick_secs,
            on_stage=lambda name, done, total: progress.update(tasks[name], completed=done, total=total, visible=True),
        )
        if input_ is None:
            found = asyncio.run(_from_store(job, settings or Settings()))
        else:
            history, labels = read_history(
                input_,
                brands=settings.brands if settings else {},
                matcher=matcher_of(settings) if settings else Matcher([]),
                identify=identify,
                label_field=label_field,
            )

            def load() -> Scorer:
                if label_field is not None:
                    return Labelled(labels)
                if model is not None:
                    return load_scorer(model, labels=named, threads=ScoringOptions().threads)
                return scorer_of(settings or Settings())

            found = _from_file(job, _chosen(job, history, input_), load)
        advice = _advice(job, found)
    _report(found, advice, json_=json_)
    if advice and all(one.refused is not None for one in advice):
        raise typer.Exit(1)


def _time(option: str, value: str | None) -> datetime | None:
    """A day or a time as people write it, in UTC unless it says otherwise."""
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        fix = "write 2026-01-31 or 2026-01-31T18:00"
        raise typer.BadParameter(f"{value!r} is not a day or a time; {fix}", param_hint=option) from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _chosen(job: Job, history: History, path: Path) -> History:
    """The part of a file's history that is asked for."""
    brands = job.of(history.brands)
    kept = tuple(
        replace(mention, brands=about)
        for mention in history.mentions
        if (about := tuple(name for name in mention.brands if name in brands))
        and (job.until_at is None or mention.at < job.until_at)
    )
    if not kept:
        problem, fix = "no mention of these brands before --until", "ask for other brands or another time"
        raise ConfigError([Fault(path=str(path), problem=problem, fix=fix)])
    return History(mentions=kept, brands=brands)


def _from_file(job: Job, history: History, load: Callable[[], Scorer]) -> Found:
    """Through the daemon's own units in a database that is thrown away, then compared in memory."""

    def on_alert(payload: Frozen) -> None:
        if job.since_at is None or datetime.fromisoformat(payload["decided_at"]) >= job.since_at:
            print_json(payload)

    job.sets(history.brands)  # what is wrong with them is told before the model has read everything
    plan = Plan(
        history=history,
        rules=job.configured,
        scorer=lambda: on_thread(load),
        on_alert=on_alert,
        on_progress=job.on_stage,
        tick_secs=job.tick_secs,
    )
    said = asyncio.run(run(plan))
    heard = {name: said.get(name, []) for name in history.brands}
    outcomes, _ = job.compared(history.brands, heard)
    return Found(brands=history.brands, heard=heard, outcomes=outcomes)


async def _from_store(job: Job, settings: Settings) -> Found:
    """On what the database holds, which is only read."""
    brands = job.of(settings.brands)
    database = _present(database_of(settings))
    try:
        await _same_version(database)
        before_at = None if job.since_at is None else job.since_at - BEFORE
        heard = {name: await stored(database, name, since_at=before_at, until_at=job.until_at) for name in brands}
        if not any(heard.values()):
            problem, fix = "holds no votes on these brands in this time", "run listener first, or ask for more"
            raise ConfigError([Fault(path="database", problem=problem, fix=fix)])
        outcomes, events = job.compared(brands, heard)
        for payload in await payloads(database, events, heard, brands):
            print_json(payload)
    finally:
        await database.close()
    return Found(brands=brands, heard=heard, outcomes=outcomes)


def _present(database: Database) -> Database:
    """Raise ConfigError when there is no such file: SQLite would make an empty one."""
    if database.dialect == "sqlite" and not Path(database.url.database or "").exists():
        problem, fix = "there is no such file", "run listener first, or correct it"
        raise ConfigError([Fault(path="database.url", problem=problem, fix=fix)])
    return database


async def _same_version(database: Database) -> None:
    """Raise unless the database is of this version: nothing is upgraded here."""
    current, head = await migrate.version(database), migrate.scripts().get_current_head()
    if current != head:
        raise StoreError(f"the database is at version {current}, this listener needs {head}: see `listener db upgrade`")


def _advice(job: Job, found: Found) -> list[Advice]:
    """What is recommended for each brand that is watched."""
    if job.target is None:
        return []
    rules = rule_set(CONFIGURED, job.configured, found.brands).rules
    return [
        advise(
            name,
            found.heard[name],
            rules[name],
            target=job.target,
            on_progress=lambda done, total: job.on_stage("simulated", done, total),
        )
        for name, brand in found.brands.items()
        if brand.alerts
    ]


def _report(found: Found, advice: Sequence[Advice], *, json_: bool) -> None:
    titles = {name: brand.title for name, brand in found.brands.items()}
    show_outcomes(found.outcomes, titles)
    for one in advice:
        show_advice(one, titles)
    if json_:
        summary: dict[str, Any] = {"summary": [outcome_json(one) for one in found.outcomes]}
        print_json(summary | ({"advice": [advice_json(one) for one in advice]} if advice else {}))
