// What the server keeps: repository protocols, and SQLite behind them.
