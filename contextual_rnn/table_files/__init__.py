"""Files of tables: text, Parquet, Arrow and MATLAB files as columns that are read when they are asked for."""

from .._core.extras import require

require("jobs", "contextual_rnn.table_files")
