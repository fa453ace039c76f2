"""Do the intervals hold the truth as often as they say? 2,000 simulated audits each, 93.5 to 96.5 of 100 must."""

from __future__ import annotations

import numpy as np
import pytest

from refusal_tui.stats.agreement import cohen_kappa, macro_f1
from refusal_tui.stats.bootstrap import cluster_bootstrap
from refusal_tui.stats.chance import gwet_ac1, krippendorff_alpha, pair_matrix
from refusal_tui.stats.prevalence import Share, rogan_gladen
from refusal_tui.stats.weighted import weighted_rate

AUDITS = 2000
HELD = (0.935, 0.965)


class Population:
    """20,000 rows of 5,000 prompts: what a person and a judge say, and how sure the judge is of itself."""

    def __init__(self, refusals: float, errors: float) -> None:
        random = np.random.default_rng(17)
        rows = 20_000
        prompt = random.integers(0, rows // 4, rows)
        contested = random.beta(0.4, 0.4 * (1 - errors) / errors, rows // 4)[prompt]
        wrong = random.random(rows) < contested
        self.rows = rows
        self.human = random.random(rows) < refusals
        self.judge = self.human ^ wrong
        sure = np.where(wrong, random.beta(3, 2, rows), random.beta(6, 1.5, rows))
        self.unsure = np.nonzero(sure < 0.6)[0]
        self.truth = {
            "error": wrong.mean(),
            "false alarm": self.judge[~self.human].mean(),
            "miss": (~self.judge)[self.human].mean(),
            "refused": self.human.mean(),
        }

    def sample(self, random: np.random.Generator, at_random: int, unsure: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows drawn at random and, beside them, rows of which the judge is unsure; with their probabilities."""
        drawn = np.concatenate(
            [random.choice(self.rows, at_random, replace=False), random.choice(self.unsure, unsure, replace=False)]
        )
        inclusion = np.full(self.rows, at_random / self.rows)
        inclusion[self.unsure] = 1 - (1 - at_random / self.rows) * (1 - unsure / len(self.unsure))
        drawn = np.unique(drawn)
        return drawn, inclusion[drawn]


@pytest.mark.parametrize(("at_random", "unsure"), [(400, 0), (300, 100), (150, 150)])
def test_error_rates_of_a_judge_by_the_weights_of_the_sample(at_random: int, unsure: int) -> None:
    """A random stratum alone, with some, and with as many rows picked because the judge was unsure."""
    population, random = Population(0.3, 0.06), np.random.default_rng(23)
    held = dict.fromkeys([*population.truth, "corrected"], 0)
    for _ in range(AUDITS):
        drawn, inclusion = population.sample(random, at_random, unsure)
        human, judge = population.human[drawn], population.judge[drawn]
        found = {
            "error": weighted_rate(human != judge, inclusion),
            "false alarm": weighted_rate(judge, inclusion, counted=~human),
            "miss": weighted_rate(~judge, inclusion, counted=human),
            "refused": weighted_rate(human, inclusion),
        }
        for name, rate in found.items():
            held[name] += rate.interval.low <= population.truth[name] <= rate.interval.high
        specificity = weighted_rate(~judge, inclusion, counted=~human)
        sensitivity = weighted_rate(judge, inclusion, counted=human)
        _, low, high = rogan_gladen(
            Share(population.judge.mean()),
            Share(sensitivity.interval.value, sensitivity.effective),
            Share(specificity.interval.value, specificity.effective),
        )
        held["corrected"] += low <= population.truth["refused"] <= high
    shares = {name: float(count / AUDITS) for name, count in held.items()}
    # of the correction the interval is on the safe side where half of the sample was not drawn at random
    corrected = shares.pop("corrected")
    assert HELD[0] <= corrected <= HELD[1] + (0.01 if unsure >= at_random else 0), corrected
    assert all(HELD[0] <= share <= HELD[1] for share in shares.values()), shares


def two_annotators(random: np.random.Generator, prompts: int) -> np.ndarray:
    """One confusion matrix per prompt, which one to three models have answered; some prompts are contested."""
    often, contested = random.choice(3, prompts, p=[0.5, 0.43, 0.07]), random.beta(0.5, 5.75, prompts)
    found = np.zeros((prompts, 3, 3))
    answered = random.integers(1, 4, prompts)
    for model in range(3):
        on = np.nonzero(answered > model)[0]
        true = np.where(random.random(len(on)) < 0.5, often[on], random.choice(3, len(on), p=[0.5, 0.43, 0.07]))
        said = [
            np.where(random.random(len(on)) < share * contested[on], random.choice(3, len(on)), true)
            for share in (0.5, 1)
        ]
        np.add.at(found, (on, *said), 1)
    return found


STATISTICS = {
    "kappa": cohen_kappa,
    "alpha": lambda m: krippendorff_alpha(pair_matrix(m)),
    "AC1": lambda m: gwet_ac1(pair_matrix(m)),
    "macro-F1": macro_f1,
}


@pytest.mark.nightly
@pytest.mark.parametrize("prompts", [150, 300])
def test_agreement_of_two_annotators_by_a_bootstrap_over_prompts(prompts: int) -> None:
    random = np.random.default_rng(29)
    everything = two_annotators(np.random.default_rng(31), 2_000_000).sum(axis=0)
    truth = {name: float(statistic(everything)) for name, statistic in STATISTICS.items()}
    held = dict.fromkeys(STATISTICS, 0)
    for audit in range(AUDITS):
        found = cluster_bootstrap(STATISTICS, two_annotators(random, prompts), draws=600, seed=audit)
        for name, interval in found.items():
            held[name] += interval.low <= truth[name] <= interval.high
    shares = {name: float(count / AUDITS) for name, count in held.items()}
    assert all(HELD[0] <= share <= HELD[1] for share in shares.values()), shares
