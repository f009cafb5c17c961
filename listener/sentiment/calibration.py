"""From a model's raw logits to probabilities that can be believed, and to labels. Pure.

A calibration is affine on each logit (Platt 1999; temperature scaling of the sentiment outputs is the case of equal
scales, Guo et al. 2017). It was fitted on labelled texts that the model had not learnt from, some languages by
themselves. Thresholds lie on calibrated probabilities and were chosen so that counts are unbiased: as many texts are
labelled as should be. In doubt the label stands, so that counts stay unbiased, but the head is named as one that
abstains: a single mention of that kind proves nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from listener.domain import Assessment


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """``logit * scale + shift``, one of each an output."""

    scale: tuple[float, ...]
    shift: tuple[float, ...]

    def of(self, logits: Sequence[float]) -> list[float]:
        """The calibrated logits of one text."""
        return [logit * scale + shift for logit, scale, shift in zip(logits, self.scale, self.shift, strict=True)]

    def with_own(self, scale: Sequence[float | None], shift: Sequence[float | None]) -> "Calibration":
        """This calibration, but for the outputs that a language has values of its own for."""
        return Calibration(scale=_filled(scale, self.scale), shift=_filled(shift, self.shift))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """How a model's answers become labels.

    ``languages`` (ISO 639-1) lists what differs from ``default``. ``thresholds`` has every output but sentiment's.
    ``sentiment_min`` is the probability of the most probable sentiment below which it is in doubt; so is a risk from
    ``risk_band``'s first value up to, not including, its second.
    """

    default: Calibration
    languages: Mapping[str, Calibration]
    thresholds: Mapping[str, float]
    sentiment_min: float
    risk_band: tuple[float, float]

    def calibration(self, language: str | None) -> Calibration:
        """The calibration of texts in ``language``."""
        return self.languages.get(language or "", self.default)

    def labelled(self, assessment: Assessment) -> Assessment:
        """The assessment with its labels, in the order sentiment, risk, emotions, loyalty, wish."""
        top, (low, high) = assessment.sentiment, self.risk_band
        doubts = {
            "sentiment": getattr(assessment.probabilities, top.value) < self.sentiment_min,
            "risk": assessment.risk is not None and low <= assessment.risk < high,
        }
        shares = {
            "risk": assessment.risk,
            **{f"emotions/{name}": share for name, share in (assessment.emotions or {}).items()},
            **{f"loyalty/{name}": share for name, share in (assessment.loyalty or {}).items()},
            "wish": assessment.wish,
        }
        labels = [f"sentiment/{top.value}"]
        labels += [name for name, share in shares.items() if share is not None and share >= self.thresholds[name]]
        abstained = tuple(name for name, doubt in doubts.items() if doubt)
        return replace(assessment, labels=tuple(labels), abstained=abstained)


def _filled(own: Sequence[float | None], default: Sequence[float]) -> tuple[float, ...]:
    return tuple(usual if value is None else value for value, usual in zip(own, default, strict=True))
