"""Time-aware model selection: backtests."""
