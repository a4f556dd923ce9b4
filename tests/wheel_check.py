"""Run by `make wheel-test` with the interpreter that the wheel was installed into: the shipped data can be forecast."""

import sys

import tsrec


def main() -> None:
    """Forecast a shipped series from the installed package."""
    if "site-packages" not in tsrec.__file__:
        sys.exit(f"tsrec was imported from {tsrec.__file__}, not from the installed wheel")
    y = tsrec.datasets.load_nyc_taxi()
    answer = tsrec.AutoForecaster(horizon=48, random_state=0).fit(y).predict()
    assert len(answer) == 48
    assert answer.index[0] == y.index[-1] + y.index.freq
    assert answer.between(0, 60_000).all()
    print(f"tsrec {tsrec.__version__} from the wheel forecast {len(answer)} steps of {len(y)} rows; the first are")
    print(answer.head(3))


if __name__ == "__main__":
    main()
