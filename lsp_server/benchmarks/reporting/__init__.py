"""Results on disk, machines, statistics, tables and plots."""
