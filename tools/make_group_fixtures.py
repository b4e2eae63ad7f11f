"""Writes tests/fixtures/groups/classifier.json: logits of two models, and what scikit-learn and fairlearn say of them per group.

  python3 -m venv /tmp/groups && /tmp/groups/bin/pip install scikit-learn fairlearn
  /tmp/groups/bin/python3 tools/make_group_fixtures.py
"""
import json
import pathlib

import numpy as np
from fairlearn.metrics import MetricFrame, demographic_parity_difference, equalized_odds_difference
from scipy.special import log_softmax
from scipy.stats import entropy
from sklearn.metrics import accuracy_score, log_loss, recall_score

EXAMPLES, CLASSES = 150, 4
random = np.random.default_rng(14)
labels = random.integers(0, CLASSES, EXAMPLES)
age = random.choice(["old", "young", "middle"], EXAMPLES, p=[0.2, 0.5, 0.3])
sex = random.choice(["f", "m"], EXAMPLES)
weights = np.round(random.uniform(0.5, 3, EXAMPLES), 2)
reference = random.normal(0, 1, (EXAMPLES, CLASSES))
reference[np.arange(EXAMPLES), labels] += 1.2
quantized = reference * 0.8 + random.normal(0, np.where(age == "old", 0.9, 0.3)[:, None], reference.shape)
models = {"reference": np.round(reference, 4).astype(np.float32), "quantized": np.round(quantized, 4).astype(np.float32)}


def figures(logits):
    """Per group by MetricFrame, which hands each metric the group's rows and weights."""
    logits = logits.astype(np.float64)
    log_p = log_softmax(logits, axis=1)
    rows = np.arange(EXAMPLES)
    others = logits.copy()
    others[rows, labels] = -np.inf
    predicted = logits.argmax(1)

    def mean_of(values):
        return lambda t, p, sample_weight: np.average(values[p], weights=sample_weight)

    def recall(t, p, sample_weight):
        return recall_score(t, predicted[p], labels=np.unique(t), average="macro", sample_weight=sample_weight)

    def sample_variance(t, p, sample_weight):
        mean = np.average(logits[p], axis=0, weights=sample_weight)
        return np.average((logits[p] - mean) ** 2, axis=0, weights=sample_weight).mean()

    metrics = {
        "loss_nats": lambda t, p, sample_weight: log_loss(t, np.exp(log_p[p]), labels=range(CLASSES),
                                                         sample_weight=sample_weight),
        "accuracy": lambda t, p, sample_weight: accuracy_score(t, predicted[p], sample_weight=sample_weight),
        "recall": recall,
        "logit_variance": mean_of(logits.var(axis=1)),
        "logit_sample_variance": sample_variance,
        "margin": mean_of(logits[rows, labels] - others.max(1)),
        "entropy_nats": mean_of(entropy(np.exp(log_p), axis=1)),
        "confidence": mean_of(np.exp(log_p).max(1)),
    }

    def by_group(sensitive, weight):
        frame = MetricFrame(metrics=metrics, y_true=labels, y_pred=rows, sensitive_features=sensitive,
                            sample_params={name: {"sample_weight": weight} for name in metrics})
        groups = {(" x ".join(g) if isinstance(g, tuple) else g): {k: float(v) for k, v in row.items()}
                  for g, row in frame.by_group.iterrows()}
        gaps = {k: float(v) for k, v in frame.difference(method="between_groups").items()}
        parity = {"demographic_parity": 0.0, "equalized_odds": 0.0}
        for c in range(CLASSES):
            known = dict(sensitive_features=sensitive, sample_weight=weight)
            for name, metric in [("demographic_parity", demographic_parity_difference),
                                 ("equalized_odds", equalized_odds_difference)]:
                parity[name] = max(parity[name], float(metric(labels == c, predicted == c, **known)))
        return {"groups": groups, "gaps": gaps, "parity": parity}

    return {f"{name}, {kind}": by_group(sensitive, weight)
            for name, sensitive in [("age", age), ("sex", sex), ("age x sex", np.column_stack([age, sex]))]
            for kind, weight in [("plain", np.ones(EXAMPLES)), ("weighted", weights)]}


for g in np.unique(age):
    for s in np.unique(sex):  # fairlearn calls a rate without examples 0, we leave it out: none occurs here
        assert set(labels[(age == g) & (sex == s)]) == set(range(CLASSES)), (g, s)
folder = pathlib.Path(__file__).parent.parent / "tests/fixtures/groups"
folder.mkdir(exist_ok=True)
with open(folder / "classifier.json", "w") as out:
    json.dump({
        "labels": labels.tolist(), "age": age.tolist(), "sex": sex.tolist(), "weights": weights.tolist(),
        "logits": {name: [[round(float(x), 4) for x in row] for row in logits] for name, logits in models.items()},
        "expected": {name: figures(logits) for name, logits in models.items()},
    }, out)
