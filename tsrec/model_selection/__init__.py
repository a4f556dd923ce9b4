"""Time-aware model selection: backtests."""

from tsrec.model_selection._backtest import backtest

__all__ = ["backtest"]
