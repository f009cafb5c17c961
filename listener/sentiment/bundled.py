"""The directory of a model of our own, as ``training/export.py`` writes it, read without the model's libraries.

``model.safetensors`` holds the weights in int8, ``model.onnx`` a graph over the same bytes, ``tokenizer.json`` the
tokenizer, ``config.json`` sizes, outputs, calibration and thresholds; ``SHA256SUMS`` names what each file must be.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from listener.errors import ConfigError, Fault
from listener.sentiment.calibration import Calibration, Decisions
from listener.sentiment.labels import Heads, read_heads

BUNDLED = Path(__file__).with_name("model")  # in the wheel and in a checkout
FORMAT = "listener/1"
CONFIG, WEIGHTS, GRAPH, TOKENIZER, SUMS = (
    "config.json",
    "model.safetensors",
    "model.onnx",
    "tokenizer.json",
    "SHA256SUMS",
)
DECIDING = (CONFIG, GRAPH, WEIGHTS, TOKENIZER)  # what the model says depends on these
COPY_AGAIN = "copy the whole directory again"

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class _Affine(_Spec):
    """One value an output; null, in a language's own, takes the default's."""

    scale: tuple[Finite | None, ...]
    shift: tuple[Finite | None, ...]


class _Abstain(_Spec):
    sentiment: Share
    risk: tuple[Share, Share]


class Sizes(_Spec):
    """The encoder's sizes, for the engine that builds it anew."""

    hidden: Annotated[int, Field(ge=1)]
    layers: Annotated[int, Field(ge=1)]
    heads: Annotated[int, Field(ge=1)]
    intermediate: Annotated[int, Field(ge=1)]
    rows: Annotated[int, Field(ge=1)]
    positions: Annotated[int, Field(ge=8, multiple_of=8)]
    types: Annotated[int, Field(ge=1)]
    eps: Annotated[float, Field(gt=0)]
    pad: Annotated[int, Field(ge=0)]


class _Config(Sizes):
    """``config.json``."""

    format: Literal["listener/1"]
    name: Annotated[str, Field(min_length=1)]
    outputs: tuple[str, ...]
    window: Annotated[int, Field(ge=8)]
    calibration: dict[str, _Affine]
    thresholds: dict[str, Share]
    abstain: _Abstain

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.window > self.positions:
            raise ValueError(f"window is {self.window}, more than the {self.positions} positions")
        if "default" not in self.calibration:
            raise ValueError("calibration has no default")
        count = len(self.outputs)
        for language, affine in self.calibration.items():
            if not len(affine.scale) == len(affine.shift) == count:
                raise ValueError(f"calibration.{language} does not have {count} values each")
        if None in (*self.calibration["default"].scale, *self.calibration["default"].shift):
            raise ValueError("calibration.default has a null")
        lacking = [name for name in self.outputs if not name.startswith("sentiment/") and name not in self.thresholds]
        if lacking:
            raise ValueError(f"thresholds lack {', '.join(lacking)}")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundled:
    """A whole, verified directory. ``name`` is ``name@revision``: 12 hex digits over the files that decide.

    ``window`` counts tokens with the special ones.
    """

    path: Path
    name: str
    heads: Heads
    sizes: Sizes
    outputs: int
    window: int
    decisions: Decisions


def is_bundled(path: Path) -> bool:
    """Whether ``path`` is a directory in our own format, of whatever version; never raises."""
    try:
        config = json.loads((path / CONFIG).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and str(config.get("format", "")).startswith("listener/")


def read_bundled(named: Path | None = None) -> Bundled:
    """Read and verify a directory, or the one that comes with listener; reads all its bytes once (60 MB: some 0.1 s).

    Raises ConfigError: a file is missing, is not what ``SHA256SUMS`` says, or ``config.json`` does not fit.
    """
    path = named or BUNDLED
    missing = [name for name in (*DECIDING, SUMS) if not (path / name).is_file()]
    if missing:
        fix = COPY_AGAIN if named else "install listener again, or name a model's directory in scoring.model"
        raise ConfigError([_fault(f"the model in {path} is not complete, it lacks {', '.join(missing)}", fix)])
    config = _config(path / CONFIG)
    sums = _verified(path)
    revision = hashlib.sha256("".join(sums[name] for name in DECIDING).encode()).hexdigest()[:12]
    return Bundled(
        path=path,
        name=f"{config.name}@{revision}",
        heads=read_heads(dict(enumerate(config.outputs)), {}),
        sizes=Sizes(**config.model_dump(include=set(Sizes.model_fields))),
        outputs=len(config.outputs),
        window=config.window,
        decisions=_decisions(config),
    )


def _fault(problem: str, fix: str = COPY_AGAIN) -> Fault:
    return Fault(path="scoring.model", problem=problem, fix=fix)


def _config(file: Path) -> _Config:
    try:
        content: Any = json.loads(file.read_bytes())
        if isinstance(content, dict) and content.get("format") != FORMAT:
            problem = f"{file} is in the format {content.get('format')!r}, and this listener reads {FORMAT!r}"
            raise ConfigError([_fault(problem, "install the listener that the model was made for, or another model")])
        return _Config.model_validate(content)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}".lstrip(": ") for one in error.errors()]
        raise ConfigError([_fault(f"{file} is not right: {fault}") for fault in faults]) from None
    except (OSError, ValueError) as error:
        raise ConfigError([_fault(f"{file} cannot be read: {error}")]) from error


def _verified(path: Path) -> Mapping[str, str]:
    """The checksums by file name. Raises ConfigError with every file that is not what they say."""
    try:
        sums = dict(_sums((path / SUMS).read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise ConfigError([_fault(f"{path / SUMS} cannot be read: {error}")]) from error
    faults = [_fault(f"{path / SUMS} does not name {name}") for name in DECIDING if name not in sums]
    for name in DECIDING:
        with (path / name).open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
        if name in sums and found != sums[name]:
            faults.append(_fault(f"{path / name} is damaged: its SHA-256 is not the one in {SUMS}"))
    if faults:
        raise ConfigError(faults)
    return sums


def _sums(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        digest, name = line.split(maxsplit=1)
        yield name.removeprefix("*"), digest.lower()


def _decisions(config: _Config) -> Decisions:
    own = {language: affine for language, affine in config.calibration.items() if language != "default"}
    usual = config.calibration["default"]
    default = Calibration(
        scale=tuple(value for value in usual.scale if value is not None),
        shift=tuple(value for value in usual.shift if value is not None),
    )
    return Decisions(
        default=default,
        languages={language: default.with_own(affine.scale, affine.shift) for language, affine in own.items()},
        thresholds=config.thresholds,
        sentiment_min=config.abstain.sentiment,
        risk_band=config.abstain.risk,
    )
