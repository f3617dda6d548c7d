"""Optuna and a tracker on `on_epoch`: a search that gives up on bad trials, and every epoch in TensorBoard."""

from __future__ import annotations

import tempfile

import optuna
from toy import num_items, num_users, report, split, validation

from prismlib import MF, prism_

optuna.logging.set_verbosity(optuna.logging.WARNING)


def model():
    made = MF(num_users, num_items, 32)
    prism_(made.user.weight, split.user_popularity)
    prism_(made.item.weight, split.item_popularity)
    return made


settings = {"batch_size": 512, "max_epochs": 6}


# [optuna]
from prismlib import SSM, fit


def objective(trial):
    def stop(history):
        trial.report(history.validation_dot[-1], len(history.validation_dot))
        return trial.should_prune()

    lr = trial.suggest_float("lr", 1e-3, 1e-1, log=True)
    history = fit(model(), SSM(tau=0.2, num_negatives=10), split.train, validation, lr=lr, on_epoch=stop, **settings)
    return max(history.validation_dot)


# [end]


def track(folder: str) -> None:
    # [tracker]
    from torch.utils.tensorboard import SummaryWriter

    from prismlib import SSM, fit

    with SummaryWriter(folder) as writer:

        def log(history):
            epoch = len(history.loss)
            writer.add_scalar("loss", history.loss[-1], epoch)
            writer.add_scalar("validation NDCG@20", history.validation_dot[-1], epoch)

        fit(model(), SSM(tau=0.2, num_negatives=10), split.train, validation, lr=0.05, on_epoch=log, **settings)
    # [end]


if __name__ == "__main__":
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(objective, n_trials=6)
    assert len(study.trials) == 6 and study.best_value > min(trial.value for trial in study.trials)
    folder = tempfile.mkdtemp()
    track(folder)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(folder)
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3, 4, 5, 6]
    import tensorboard

    report(version=f"optuna {optuna.__version__}, tensorboard {tensorboard.__version__}", scores={})
