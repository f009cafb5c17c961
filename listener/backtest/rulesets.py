"""Sets of rules to compare: the configured one, and those of other files, with each brand's own thresholds."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from listener.alerts.detection.rules import Rule
from listener.app import rules_of
from listener.backtest.compare import RuleSet
from listener.config import Brand, Settings
from listener.errors import ConfigError, Fault

CONFIGURED = "configured"


def rule_set(name: str, rules: Sequence[Rule], brands: Mapping[str, Brand]) -> RuleSet:
    """The rules for these brands. Raises ConfigError naming the brand whose thresholds do not fit them."""
    fitted: dict[str, Sequence[Rule]] = {}
    faults = []
    for brand, options in brands.items():
        try:
            fitted[brand] = [rule.for_brand(dict(options.thresholds)) for rule in rules]
        except ValueError as error:
            problem = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            fix = f"correct it, or the rules of {name}"
            faults.append(Fault(path=f"brands.{brand}.thresholds", problem=problem, fix=fix))
    if faults:
        raise ConfigError(faults)
    return RuleSet(name=name, rules=fitted)


def read_rules(path: Path) -> list[Rule]:
    """The rules of a TOML file that holds tables [rules.NAME] and nothing else. Raises ConfigError."""
    document = _parsed(path)
    tables: Any = document.get("rules")
    faults = [
        Fault(path=f"{path}: {name}", problem="is not read here", fix="keep to tables [rules.NAME]")
        for name in document
        if name != "rules"
    ]
    if not isinstance(tables, dict) or not tables:
        faults.append(Fault(path=f"{path}: rules", problem="no rules", fix="add a table [rules.NAME] with a `type`"))
    else:
        faults += [
            Fault(path=f"{path}: rules.{name}", problem="is not a table", fix=f"make it a table [rules.{name}]")
            for name, table in tables.items()
            if not isinstance(table, dict)
        ]
    if faults:
        raise ConfigError(faults)
    try:
        return rules_of(Settings.model_construct(rules=tables))
    except ConfigError as error:
        raise ConfigError(
            [Fault(path=f"{path}: {one.path}", problem=one.problem, fix=one.fix) for one in error.faults]
        ) from None


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            [Fault(path=str(path), problem=f"cannot be read: {error}", fix="name a TOML file in UTF-8")]
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Fault(path=str(path), problem=f"is not TOML: {error}", fix="correct that line")]) from error
