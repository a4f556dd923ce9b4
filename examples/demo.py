"""The main job in one go: half-hourly taxi rides in New York in, a forecast and a picture out, with a backtest."""

from pathlib import Path

from tsrec.cli import main

DATA = Path(__file__).parents[1] / "datasets" / "nyc_taxi" / "nyc_taxi.csv.gz"
OUT = Path("demo")


def run() -> None:
    """Write the forecast of the next two days and say how good two-day forecasts were before."""
    OUT.mkdir(exist_ok=True)
    print("Forecasting two days (96 half hours) of New York's taxi passengers:")
    common = [str(DATA), "--time", "time", "--target", "passengers", "--horizon", "96"]
    failed = main(["forecast", *common, "--out", str(OUT / "forecast.csv"), "--plot", str(OUT / "forecast.png")])
    if not failed:
        print("\nBacktest: the last fifth of the data (holidays and a snow storm included), two days at a time,")
        print("beside the seasonal naive forecast (the same half hour a week before):")
        failed = main(["backtest", *common])
    raise SystemExit(failed)


if __name__ == "__main__":
    run()
