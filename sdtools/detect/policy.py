"""The decision about a recording: from its LLR by prior and costs, or by a named threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass

BAYES = "bayes"
MAX_LOG_ODDS = 700.0  # exp of more leaves float64


@dataclass(frozen=True)
class Policy:
    """How an LLR becomes a decision.

    Parameters
    ----------
    name
        `bayes`: the threshold of least expected cost; else the name of one of a model's thresholds.
    threshold
        LLRs from here on are decided as genuine.
    prior
        Probability, before listening, that a recording is genuine.
    costs
        Of a miss and of a false alarm.
    """

    name: str
    threshold: float
    prior: float = 0.5
    costs: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def bayes(cls, prior: float, costs: tuple[float, float]) -> Policy:
        """The policy of least expected cost.

        Examples
        --------
        >>> round(Policy.bayes(0.5, (1, 10)).threshold, 3)
        2.303
        """
        miss, false_alarm = costs
        threshold = (math.log(false_alarm) - math.log(miss)) - logit(prior)
        return cls(BAYES, threshold, prior, costs)

    @property
    def is_trivial(self) -> bool:
        """Whether every LLR gets the same decision."""
        return math.isinf(self.threshold)

    def decide(self, llr: float) -> str:
        """`genuine` or `replayed`."""
        return "genuine" if llr >= self.threshold else "replayed"

    def posterior(self, llr: float) -> float:
        """Probability, after listening, that the recording is genuine."""
        log_odds = llr + logit(self.prior)
        return 1 / (1 + math.exp(-log_odds)) if log_odds > -MAX_LOG_ODDS else 0.0

    def reason(self, llr: float) -> str:
        """Why the decision goes against the evidence or the posterior; empty if it does not."""
        decision, odds = self.decide(llr), llr + logit(self.prior)
        evident, probable = ("genuine" if side >= 0 else "replayed" for side in (llr, odds))
        if decision == probable == evident:
            return ""
        if decision == probable:
            return f"the prior outweighs this, so {decision}"
        if self.name == BAYES:
            miss, false_alarm = self.costs
            dear = "replayed" if false_alarm > miss else "genuine"
            costs = f"a {'false alarm' if dear == 'replayed' else 'miss'} costs"
            times = max(miss, false_alarm) / min(miss, false_alarm)
            return f"{probable} is more probable, but {costs} {times:.3g} times as much"
        return f"{probable} is more probable at this prior, but the {self.name} threshold decides"


def logit(probability: float) -> float:
    """Log odds of a probability."""
    return math.log(probability) - math.log1p(-probability)
