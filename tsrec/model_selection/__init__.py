"""Time-aware model selection: a splitter over time stamps, backtests, and how good their models were."""

from tsrec.model_selection._backtest import backtest
from tsrec.model_selection._leaderboard import leaderboard
from tsrec.model_selection._time_split import TimeSplit

__all__ = ["TimeSplit", "backtest", "leaderboard"]
