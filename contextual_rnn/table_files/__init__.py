"""Files of tables: text, Parquet, Arrow and MATLAB files as columns that are read when they are asked for."""
