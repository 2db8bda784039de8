"""Train the candidate that may replace the shipped model, and write it and its scores to a folder.

Nothing is written into `layers/`: the shipped model, which `anc train` trains, stays as it is. README.md
beside this file states how the two compare and when the candidate may replace the shipped model.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

FOLDS = 5


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `python -m training.candidate`."""
    options = _parser().parse_args(arguments)
    from training.candidate import commands  # noqa: PLC0415 - --help works without JAX
    from training.candidate.dataset import Plan  # noqa: PLC0415
    from training.candidate.fit import Recipe  # noqa: PLC0415

    recipe, plan = Recipe(), Plan()
    how = commands.Options(
        teacher=options.teacher,
        seed=options.seed,
        plan=Plan(clips=options.clips or plan.clips, each=plan.each),
        recipe=Recipe(steps=options.steps or recipe.steps),
        folds=options.folds,
    )
    for name, report in commands.train(options.data, options.out, how).items():
        if "clip_accuracy" in report:
            print(f"{name}: clips {report['clip_accuracy']:.3f}, windows {report['window_accuracy']:.3f}")
    print(f"scores and {commands.MODEL_FILE}: {options.out}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.candidate", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of recordings, or several in one")
    parser.add_argument(
        "--teacher", type=Path, help="YAMNet as a TFLite file; default: learn from labels alone"
    )
    parser.add_argument("--folds", type=int, choices=range(1, FOLDS + 1), default=FOLDS, help="of five")
    parser.add_argument("--steps", type=_positive, help="batches of the network; default: 12000")
    parser.add_argument("--clips", type=_positive, help="clips to compose; default: 24000")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder for the candidate and its scores")
    return parser


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1 (got {number})")
    return number


if __name__ == "__main__":
    main()
